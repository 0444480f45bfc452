/* Raises the frame rate of raw video from standard input to standard output, between two ffmpegs for example:

       ffmpeg -i in.mp4 -f rawvideo -pix_fmt nv12 - |
         tweenrt-pipe GRAPH --size 1920x1080 --pixels nv12 --factor 2 |
         ffmpeg -f rawvideo -pix_fmt nv12 -s 1920x1080 -r 60 -i - out.mp4

   Every frame that comes in goes out as it is, followed by factor - 1 drawn ones; after the last frame it is repeated.
 */
#include <cstdio>
#include <cstdlib>
#include <map>
#include <tweenrt/tweenrt.hpp>

namespace {

constexpr char kUsage[] =
    "usage: tweenrt-pipe GRAPH --size WIDTHxHEIGHT [--factor N] [--pixels rgb24|bgr24|rgba|bgra|nv12]\n"
    "                    [--matrix bt601|bt709|bt2020] [--range limited|full] [--threads N] [--gpu N]\n"
    "                    [--backend-library FILE]\n";

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class Value>
Value chosen(std::map<std::string, Value> const& names, std::string const& option, std::string const& value) {
    auto const found = names.find(value);
    if (found == names.end()) throw UsageError(option + " does not take '" + value + "'");
    return found->second;
}

int number(std::string const& option, std::string const& text) {
    char* end = nullptr;
    long const value = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || value < 0 || value > 32768)
        throw UsageError(option + " takes a whole number, got '" + text + "'");
    return static_cast<int>(value);
}

struct Request {
    std::string graph, backend_library;
    tweenrt_format format{0, 0, TWEENRT_PIXELS_RGB8, TWEENRT_MATRIX_BT709, TWEENRT_RANGE_LIMITED};
    int factor = 2, threads = 0, gpu = 0;

    void set(std::string const& option, std::string const& value) {
        if (option == "--size") return set_size(value);
        if (option == "--backend-library")
            backend_library = value;
        else if (option == "--factor")
            factor = number(option, value);
        else if (option == "--threads")
            threads = number(option, value);
        else if (option == "--gpu")
            gpu = number(option, value);
        else if (option == "--pixels")
            format.pixels = chosen(kPixels, option, value);
        else if (option == "--matrix")
            format.matrix = chosen(kMatrices, option, value);
        else if (option == "--range")
            format.range = chosen(kRanges, option, value);
        else
            throw UsageError("there is no option " + option);
    }

  private:
    using Names = std::map<std::string, int32_t>;
    inline static Names const kPixels{{"rgb24", TWEENRT_PIXELS_RGB8},
                                      {"bgr24", TWEENRT_PIXELS_BGR8},
                                      {"rgba", TWEENRT_PIXELS_RGBA8},
                                      {"bgra", TWEENRT_PIXELS_BGRA8},
                                      {"nv12", TWEENRT_PIXELS_NV12}};
    inline static Names const kMatrices{
        {"bt601", TWEENRT_MATRIX_BT601}, {"bt709", TWEENRT_MATRIX_BT709}, {"bt2020", TWEENRT_MATRIX_BT2020}};
    inline static Names const kRanges{{"limited", TWEENRT_RANGE_LIMITED}, {"full", TWEENRT_RANGE_FULL}};

    void set_size(std::string const& value) {
        size_t const cross = value.find('x');
        if (cross == std::string::npos) throw UsageError("--size takes WIDTHxHEIGHT, got '" + value + "'");
        format.width = number("--size", value.substr(0, cross));
        format.height = number("--size", value.substr(cross + 1));
    }
};

Request request_of(int count, char** words) {
    Request request;
    for (int i = 1; i < count; ++i) {
        std::string const word = words[i];
        if (word.rfind("--", 0) != 0)
            request.graph = word;
        else if (i + 1 == count)
            throw UsageError(word + " takes a value");
        else
            request.set(word, words[++i]);
    }
    if (request.graph.empty() || request.format.width == 0 || request.format.height == 0 || request.factor == 0)
        throw UsageError("a graph, a size and a factor of at least 1 are needed");
    return request;
}

// Raw frames of one format, as FFmpeg lays them out.
class Pictures {
  public:
    explicit Pictures(tweenrt_format const& format) : format_(format) {
        size_t const pixels = size_t(format.width) * format.height;
        size_t const chroma = size_t((format.width + 1) / 2) * ((format.height + 1) / 2) * 2;
        bool const four = format.pixels == TWEENRT_PIXELS_RGBA8 || format.pixels == TWEENRT_PIXELS_BGRA8;
        luma_ = pixels;
        bytes_ = format.pixels == TWEENRT_PIXELS_NV12 ? pixels + chroma : pixels * (four ? 4 : 3);
    }
    size_t bytes() const { return bytes_; }
    tweenrt_frame frame(unsigned char const* picture) const {
        return format_.pixels == TWEENRT_PIXELS_NV12 ? tweenrt::nv12(picture, picture + luma_)
                                                     : tweenrt::packed(picture);
    }

  private:
    tweenrt_format format_;
    size_t luma_, bytes_;
};

// Frames of a video, of which the last few are held: by the interpolator in its slots, and here as they came.
class Converter {
  public:
    explicit Converter(Request const& request)
        : request_(request), pictures_(request.format), interpolator_(params(request)) {
        interpolator_.set_format(request.format);
        slots_ = interpolator_.info().slots;
        looks_ahead_ = interpolator_.info().frames == 4;
        held_.assign(slots_, std::vector<unsigned char>(pictures_.bytes()));
        drawn_.assign(request.factor - 1, std::vector<unsigned char>(pictures_.bytes()));
        for (int k = 1; k < request.factor; ++k) {
            times_.push_back(static_cast<double>(k) / request.factor);
            outputs_.push_back(pictures_.frame(drawn_[k - 1].data()));
        }
    }

    void run() {
        long count = 0;
        for (; read(held_[count % slots_]); ++count) {
            interpolator_.prepare(static_cast<int32_t>(count % slots_), pictures_.frame(held_[count % slots_].data()));
            long const later = count - (looks_ahead_ ? 1 : 0);
            if (later >= 1) emit(later, count);
        }
        if (looks_ahead_ && count >= 2) emit(count - 1, count - 1);
        for (int k = 0; count > 0 && k < request_.factor; ++k) write(held_[(count - 1) % slots_]);
        tweenrt_stats const stats = interpolator_.statistics();
        std::fprintf(stderr, "tweenrt-pipe: %ld frames in, %llu drawn, %llu encoder runs\n", count,
                     static_cast<unsigned long long>(stats.drawn), static_cast<unsigned long long>(stats.first_runs));
    }

  private:
    static tweenrt::Params params(Request const& request) {
        tweenrt::Params params(request.graph);
        params->threads = request.threads;
        params->gpu = request.gpu;
        if (!request.backend_library.empty()) params->backend_library = request.backend_library.c_str();
        params->log = [](void*, tweenrt_log_level level, char const* text) {
            if (level <= TWEENRT_LOG_WARNING) std::fprintf(stderr, "tweenrt-pipe: %s\n", text);
        };
        return params;
    }

    // Writes the frame before `later` and what lies between them; `newest` is the last frame that was read.
    void emit(long later, long newest) {
        auto slot = [&](long frame) { return static_cast<int32_t>(frame % slots_); };
        write(held_[slot(later - 1)]);
        int32_t const before = looks_ahead_ && later >= 2 ? slot(later - 2) : -1;
        int32_t const after = newest > later ? slot(newest) : -1;
        interpolator_.draw(tweenrt::between(slot(later - 1), slot(later), before, after), times_, outputs_);
        for (auto const& picture : drawn_) write(picture);
    }

    static bool read(std::vector<unsigned char>& picture) {
        size_t const got = std::fread(picture.data(), 1, picture.size(), stdin);
        if (got != 0 && got != picture.size())
            throw std::runtime_error("the input ends within a frame: expected " + std::to_string(picture.size()) +
                                     " bytes, got " + std::to_string(got));
        return got != 0;
    }

    static void write(std::vector<unsigned char> const& picture) {
        if (std::fwrite(picture.data(), 1, picture.size(), stdout) != picture.size())
            throw std::runtime_error("the output takes no more frames");
    }

    Request request_;
    Pictures pictures_;
    tweenrt::Interpolator interpolator_;
    int32_t slots_ = 0;
    bool looks_ahead_ = false;
    std::vector<std::vector<unsigned char>> held_, drawn_;
    std::vector<double> times_;
    std::vector<tweenrt_frame> outputs_;
};

}  // namespace

int main(int count, char** words) {
    try {
        Converter(request_of(count, words)).run();
        if (std::fflush(stdout) != 0) throw std::runtime_error("the output takes no more frames");
        return 0;
    } catch (UsageError const& error) {
        std::fprintf(stderr, "tweenrt-pipe: %s\n%s", error.what(), kUsage);
        return 2;
    } catch (tweenrt::Error const& error) {
        std::fprintf(stderr, "tweenrt-pipe: %s: %s\n", tweenrt_status_text(error.status()), error.what());
    } catch (std::exception const& error) {
        std::fprintf(stderr, "tweenrt-pipe: %s\n", error.what());
    }
    return 1;
}

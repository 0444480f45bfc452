#include "engine_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "report.h"
#include "sha256.h"

namespace tweenrt::native {
namespace {

constexpr char kMagic[] = "TWEENRTE";
constexpr size_t kMagicBytes = 8;
constexpr size_t kPrefixBytes = 52;
constexpr uint64_t kLongestHeader = uint64_t{1} << 24;
constexpr char kRebuild[] = "build it again with `tweenrt build`";

std::ifstream opened(std::string const& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file || file.peek() == std::ifstream::traits_type::eof())
        throw Fault(TWEENRT_STATUS_NOT_FOUND,
                    path + ": cannot read the network (" +
                        (errno != 0 ? std::generic_category().message(errno) : std::string("it is empty")) +
                        "); give an ONNX file written by `tweenrt export`, or an engine of `tweenrt build`");
    return file;
}

bool begins_like_ours(void const* content, size_t bytes) {
    return bytes >= kMagicBytes && std::memcmp(content, kMagic, kMagicBytes) == 0;
}

uint64_t little_endian(uint8_t const* at, int bytes) {
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) value = value << 8 | at[i];
    return value;
}

// The items, or the names of the members, separated by commas.
std::string joined(Json const* value) {
    std::string text;
    auto add = [&](std::string const& item) { text += (text.empty() ? "" : ",") + item; };
    if (value == nullptr) return text;
    for (Json const& item : value->items) add(item.text);
    for (auto const& [name, _] : value->members) add(name);
    return text;
}

}  // namespace

bool is_engine(std::string const& path) {
    constexpr char kEnding[] = ".engine";
    constexpr size_t kLength = sizeof kEnding - 1;
    char start[kMagicBytes] = {};
    opened(path).read(start, kMagicBytes);
    return begins_like_ours(start, kMagicBytes) ||
           (path.size() > kLength && path.compare(path.size() - kLength, kLength, kEnding) == 0);
}

EngineFile::EngineFile(std::string const& path) {
    std::ifstream file = opened(path);
    content_.assign(std::istreambuf_iterator<char>(file), {});
    if (!begins_like_ours(content_.data(), content_.size()))
        throw Fault(TWEENRT_STATUS_NOT_OURS,
                    path +
                        ": expected an engine built by tweenrt; a plan of another tool is code "
                        "of unknown origin and is not loaded; " +
                        kRebuild);
    if (content_.size() < kPrefixBytes)
        throw Fault(TWEENRT_STATUS_DAMAGED, path + ": the engine file is cut off in its header; " + kRebuild);
    uint64_t const header = little_endian(&content_[8], 4);
    uint64_t const plan = little_endian(&content_[12], 8);
    if (header > kLongestHeader || content_.size() - kPrefixBytes < header ||
        content_.size() - kPrefixBytes - header != plan)
        throw Fault(TWEENRT_STATUS_DAMAGED, path + ": the engine file should hold " + std::to_string(kPrefixBytes) +
                                                " + " + std::to_string(header) + " + " + std::to_string(plan) +
                                                " bytes, it holds " + std::to_string(content_.size()) + "; " +
                                                kRebuild);
    Digest const digest = sha256(&content_[0] + kPrefixBytes, content_.size() - kPrefixBytes);
    if (!std::equal(digest.begin(), digest.end(), &content_[20]))
        throw Fault(TWEENRT_STATUS_DAMAGED,
                    path + ": the engine file is damaged (its checksum does not match); " + kRebuild);
    plan_ = kPrefixBytes + header;
    read_header(path);
    file_sha256_ = hexadecimal(sha256(content_.data(), content_.size()));
}

void EngineFile::read_header(std::string const& path) {
    try {
        values_ = parse_json({reinterpret_cast<char const*>(content_.data()) + kPrefixBytes, plan_ - kPrefixBytes});
    } catch (std::runtime_error const& error) {
        throw Fault(TWEENRT_STATUS_DAMAGED,
                    path + ": the engine's header cannot be read (" + error.what() + "); " + kRebuild);
    }
    flavour_ = text("flavour");
    tensorrt_ = text("tensorrt");
    device_ = text("device");
    plugins_sha256_ = text("plugins_sha256");
    targets_ = joined(values_.member("targets"));
    plugins_ = joined(values_.member("plugins"));
    Json const* portable = values_.member("portable");
    portable_ = portable != nullptr && portable->truth;
}

EngineHeader EngineFile::header() const {
    return {flavour_.c_str(), tensorrt_.c_str(), device_.c_str(),         targets_.c_str(),
            portable_,        plugins_.c_str(),  plugins_sha256_.c_str(), file_sha256_.c_str()};
}

char const* EngineFile::property(std::string const& key) const {
    Json const* graph = values_.member("graph");
    Json const* value = graph == nullptr ? nullptr : graph->member(key);
    return value == nullptr ? nullptr : value->text.c_str();
}

std::string EngineFile::text(char const* name) const {
    Json const* value = values_.member(name);
    return value == nullptr ? "" : value->text;
}

}  // namespace tweenrt::native

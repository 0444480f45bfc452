#include "engine.h"

#include <cstring>

#include "flavour.h"

namespace tweenrt::native {
namespace {

constexpr char kRebuild[] = "; build it again with `tweenrt build` on this machine";
constexpr int32_t kAmpere = 80;

[[noreturn]] void refuse(std::string const& text) { throw Fault(TWEENRT_STATUS_MISMATCH, text + kRebuild); }

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

// Whether `name` is one of `list`, which commas separate.
bool is_among(std::string const& name, std::string const& list) {
    return ("," + lower(list) + ",").find("," + name + ",") != std::string::npos;
}

}  // namespace

void check_fits(EngineHeader const& header, std::string const& path, Library const& library, Lane const& lane) {
    if (std::strcmp(header.flavour, kFlavour) != 0)
        refuse(path + ": built with " + header.flavour + ", this is the backend " + kFlavour);
    if (library.version() != header.tensorrt)
        refuse(path + ": built with " + kFlavour + " " + header.tensorrt + ", " + library.version() + " is installed");
    if (*header.targets != '\0' && !is_among(lane.compute(), header.targets))
        refuse(path + ": built for " + header.targets + ", this GPU is " + lane.device());
    if (header.portable && lane.architecture() >= kAmpere) return;
    if (*header.device != '\0' && lane.device() != header.device)
        refuse(path + ": built for " + header.device + ", this GPU is " + lane.device());
}

std::unique_ptr<nvinfer1::ICudaEngine> load_engine(Source const& source, char const* plugin_library, Library& library,
                                                   Lane const& lane, Log& log) {
    std::string const path = source.path;
    if (source.engine == nullptr)
        throw Fault(TWEENRT_STATUS_UNSUPPORTED, path +
                                                    ": expected an engine, got an ONNX file; build one with "
                                                    "`tweenrt build " +
                                                    path + " -o FILE --flavour " + kFlavour + "`");
    check_fits(*source.engine, path, library, lane);
    Listening const listening(log);
    load_plugins(*source.engine, path, plugin_library, library);
    std::unique_ptr<nvinfer1::ICudaEngine> engine(
        library.runtime().deserializeCudaEngine(source.plan, source.plan_bytes));
    if (engine == nullptr)
        throw Fault(TWEENRT_STATUS_BACKEND_FAILED, path + ": " + library.title() + " cannot load it: " + log.error());
    return engine;
}

}  // namespace tweenrt::native

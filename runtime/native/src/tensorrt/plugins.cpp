#include <dlfcn.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <vector>

#include "../sha256.h"
#include "engine.h"

namespace tweenrt::native {
namespace {

constexpr char kName[] = "libtweenrt_plugins.so";

// Beside this module.
std::string usual_file() {
    Dl_info info{};
    if (dladdr(reinterpret_cast<void const*>(&load_plugins), &info) == 0 || info.dli_fname == nullptr) return kName;
    std::string const path = info.dli_fname;
    size_t const slash = path.rfind('/');
    return slash == std::string::npos ? kName : path.substr(0, slash + 1) + kName;
}

std::string checksum(std::string const& file, std::string const& path) {
    std::ifstream input(file, std::ios::binary);
    if (!input)
        throw Fault(TWEENRT_STATUS_MISSING_LIBRARY, path + ": its kernels are in the plugin library, and " + file +
                                                        " cannot be read; let plugin_library name a " + kName);
    std::vector<char> const content{std::istreambuf_iterator<char>(input), {}};
    return hexadecimal(sha256(content.data(), content.size()));
}

// Whether TensorRT has plugins for all ops that commas separate.
bool are_provided(nvinfer1::IPluginRegistry& registry, std::string const& ops) {
    int32_t count = 0;
    nvinfer1::IPluginCreatorInterface* const* const creators = registry.getAllCreators(&count);
    std::string provided = ",";
    for (int32_t k = 0; k < count; ++k) {
        // Those of V1 are known by another interface; ours are not among them.
        if (std::strcmp(creators[k]->getInterfaceInfo().kind, "PLUGIN CREATOR_V3ONE") != 0) continue;
        provided += static_cast<nvinfer1::IPluginCreatorV3One*>(creators[k])->getPluginName() + std::string(",");
    }
    for (size_t start = 0; start < ops.size();) {
        size_t const end = std::min(ops.find(',', start), ops.size());
        if (provided.find("," + ops.substr(start, end - start) + ",") == std::string::npos) return false;
        start = end + 1;
    }
    return true;
}

}  // namespace

void load_plugins(EngineHeader const& header, std::string const& path, char const* plugin_library, Library& library) {
    if (*header.plugins == '\0') return;
    std::string const file = plugin_library == nullptr ? usual_file() : plugin_library;
    if (checksum(file, path) != header.plugins_sha256 && *header.plugins_sha256 != '\0')
        throw Fault(TWEENRT_STATUS_MISMATCH, path + ": built with another version of our plugin library than " + file +
                                                 "; build it again with `tweenrt build`");
    static std::mutex one_at_a_time;  // the registry is the process's
    std::lock_guard<std::mutex> const lock(one_at_a_time);
    if (are_provided(library.registry(), header.plugins)) return;
    library.registry().loadLibrary(file.c_str());
    if (!are_provided(library.registry(), header.plugins))
        throw Fault(TWEENRT_STATUS_BACKEND_FAILED,
                    library.title() + " did not accept " + file +
                        "; if it is newer than the library, build that again with its headers (TENSORRT_ROOT)");
}

}  // namespace tweenrt::native

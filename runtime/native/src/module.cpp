#include "module.h"

#include <dlfcn.h>
#include <unistd.h>

#include "report.h"

namespace tweenrt::native {
namespace {

constexpr char kPluginLibrary[] = "libtweenrt_plugins.so";

std::string text_of(char const* text) { return text == nullptr ? "" : text; }

char const* or_null(std::string const& text) { return text.empty() ? nullptr : text.c_str(); }

// The folder of this library.
std::string own_folder() {
    Dl_info info{};
    if (dladdr(reinterpret_cast<void const*>(&tweenrt_version), &info) == 0 || info.dli_fname == nullptr) return ".";
    std::string const path = info.dli_fname;
    size_t const slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string file_of(tweenrt_backend backend, std::string const& folder) {
    std::string name = name_of(backend);
    for (char& c : name)
        if (c == '-') c = '_';
    return (folder.empty() ? own_folder() : folder) + "/libtweenrt_" + name + ".so";
}

template <class Function>
Function function(void* library, char const* name, std::string const& path) {
    void* const found = dlsym(library, name);
    if (found == nullptr)
        throw Fault(TWEENRT_STATUS_MISSING_LIBRARY,
                    path + ": expected a backend of tweenrt, it has no " + name + "; install libtweenrt again");
    return reinterpret_cast<Function>(found);
}

}  // namespace

Options::Options(tweenrt_params const& params)
    : graph(text_of(params.graph)),
      backend_library(text_of(params.backend_library)),
      plugin_library(text_of(params.plugin_library)),
      module_folder(text_of(params.module_folder)),
      values(params) {
    std::string const beside = own_folder() + "/" + kPluginLibrary;
    if (plugin_library.empty() && access(beside.c_str(), R_OK) == 0) plugin_library = beside;
}

char const* name_of(tweenrt_backend backend) {
    switch (backend) {
        case TWEENRT_BACKEND_TENSORRT:
            return "tensorrt";
        case TWEENRT_BACKEND_TENSORRT_RTX:
            return "tensorrt-rtx";
        default:
            return "onnxruntime";
    }
}

Module::Module(tweenrt_backend backend, Options const& options) {
    std::string const path = file_of(backend, options.module_folder);
    library_.reset(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (library_ == nullptr) {
        char const* const why = dlerror();
        throw Fault(TWEENRT_STATUS_MISSING_LIBRARY,
                    std::string("the backend ") + name_of(backend) + " is not installed: " + text_of(why) +
                        "; build libtweenrt with it, or let module_folder name where " + path + " lies");
    }
    uint32_t const interface = function<ModuleInterface>(library_.get(), kModuleInterface, path)();
    if (interface != kInterface)
        throw Fault(TWEENRT_STATUS_MISMATCH, path + ": expected a backend with interface " +
                                                 std::to_string(kInterface) + ", it has " + std::to_string(interface) +
                                                 "; install libtweenrt and its backends from one build");
    BackendOptions const wanted{
        options.values.threads,          options.values.gpu, options.values.stream,  or_null(options.backend_library),
        or_null(options.plugin_library), options.values.log, options.values.log_user};
    Backend* opened = nullptr;
    Report report;
    expect(function<ModuleOpen>(library_.get(), kModuleOpen, path)(&wanted, &opened, &report), report);
    backend_.reset(opened);
}

void Module::Close::operator()(void* library) const { dlclose(library); }

}  // namespace tweenrt::native

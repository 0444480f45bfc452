// The interface of a backend's module (backend.h) as functions for ctypes.
#include <dlfcn.h>

#include <cstring>
#include <memory>
#include <string>

#include "../../../runtime/native/src/backend.h"
#include "../../../runtime/native/src/convert.h"

using namespace tweenrt::native;

struct Driver {
    void* module;
    std::unique_ptr<Backend> backend;
    Report report;
    std::string log;
};

static void note(void* user, tweenrt_log_level level, char const* text) {
    static_cast<Driver*>(user)->log += std::to_string(level) + " " + text + "\n";
}

static Shape shape_of(int32_t rank, int64_t const* sizes) {
    Shape shape;
    shape.rank = rank;
    std::memcpy(shape.sizes, sizes, sizeof(int64_t) * static_cast<size_t>(rank));
    return shape;
}

extern "C" {

Driver* driver_open(char const* module, int32_t gpu, void* stream, char const* library, char const* plugins,
                    int32_t* status) {
    auto driver = std::make_unique<Driver>();
    driver->module = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    *status = -1;
    if (driver->module == nullptr) {
        std::strncpy(driver->report.text, dlerror(), sizeof driver->report.text - 1);
        return driver.release();
    }
    auto const interface = reinterpret_cast<ModuleInterface>(dlsym(driver->module, kModuleInterface));
    if (interface() != kInterface) return driver.release();
    BackendOptions const options{0, gpu, stream, library, plugins, note, driver.get()};
    auto const open = reinterpret_cast<ModuleOpen>(dlsym(driver->module, kModuleOpen));
    Backend* backend = nullptr;
    *status = open(&options, &backend, &driver->report);
    driver->backend.reset(backend);
    return driver.release();
}

void driver_close(Driver* driver) {
    driver->backend.reset();
    if (driver->module != nullptr) dlclose(driver->module);
    delete driver;
}

char const* driver_text(Driver* driver) { return driver->report.text; }
char const* driver_log(Driver* driver) { return driver->log.c_str(); }
char const* driver_version(Driver* driver) { return driver->backend->version(); }

int32_t driver_load(Driver* driver, char const* path, EngineHeader const* header, void const* plan, size_t bytes,
                    Session** session) {
    return driver->backend->load({path, header, plan, bytes}, session, driver->report);
}
void driver_unload(Session* session) { delete session; }

int32_t driver_ports(Session* session, int32_t inputs) {
    return inputs != 0 ? session->input_count() : session->output_count();
}
char const* driver_port_name(Session* session, int32_t input, int32_t index) {
    return (input != 0 ? session->input(index) : session->output(index)).name;
}
int32_t driver_set_shapes(Driver* driver, Session* session, Shape const* shapes) {
    return session->set_shapes(shapes, driver->report);
}
void driver_output_shape(Session* session, int32_t index, Shape* shape) { *shape = session->output_shape(index); }
int32_t driver_run(Driver* driver, Session* session, Tensor* const* inputs, Tensor* const* outputs) {
    return session->run(inputs, outputs, driver->report);
}

int32_t driver_tensor(Driver* driver, int32_t element, int32_t rank, int64_t const* sizes, Tensor** tensor) {
    return driver->backend->make_tensor(static_cast<Element>(element), shape_of(rank, sizes), tensor, driver->report);
}
void driver_drop(Tensor* tensor) { delete tensor; }
void* driver_data(Tensor* tensor) { return tensor->data; }
size_t driver_bytes(Tensor* tensor) { return tensor->bytes; }

int32_t driver_geometry(Driver* driver, Geometry const* geometry) {
    return driver->backend->set_geometry(*geometry, driver->report);
}
int32_t driver_fill(Driver* driver, Tensor* tensor, float value) {
    return driver->backend->fill(*tensor, value, driver->report);
}
int32_t driver_pack(Driver* driver, tweenrt_frame const* frame, Tensor* tensor) {
    return driver->backend->pack(*frame, *tensor, driver->report);
}
int32_t driver_unpack(Driver* driver, Tensor* tensor, tweenrt_frame const* frame) {
    return driver->backend->unpack(*tensor, *frame, driver->report);
}
int32_t driver_requantise(Driver* driver, Tensor* drawn, Tensor* target) {
    return driver->backend->requantise(*drawn, *target, driver->report);
}
int32_t driver_finish(Driver* driver) { return driver->backend->finish(driver->report); }
int32_t driver_synchronize(Driver* driver) { return driver->backend->synchronize(driver->report); }

// What the CPU makes of the same frames.
void driver_pack_frame(Geometry const* geometry, tweenrt_frame const* frame, void* target) {
    pack_frame(*geometry, *frame, target);
}
void driver_unpack_frame(Geometry const* geometry, void const* drawn, tweenrt_frame const* frame) {
    unpack_frame(*geometry, drawn, *frame);
}
void driver_requantise_frame(Geometry const* geometry, void const* drawn, void* target) {
    requantise_frame(*geometry, drawn, target);
}
}

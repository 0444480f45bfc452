// A network as it lies on disk: one graph, or one that draws and one that runs before it.
#ifndef TWEENRT_NATIVE_NETWORK_H
#define TWEENRT_NATIVE_NETWORK_H

#include <memory>
#include <string>
#include <vector>

#include "contract.h"
#include "engine_file.h"

namespace tweenrt::native {

// A file of a network, before it is loaded.
struct NetworkFile {
    std::string path;
    std::unique_ptr<EngineFile> engine;  // null for an ONNX file
};

// The files at `path`: one, or the two of a folder, the one that draws first. Throws Fault: see EngineFile.
std::vector<NetworkFile> find_network(std::string const& path);

// What runs `files` if the caller wants `wanted`. Throws Fault MISMATCH where it cannot.
tweenrt_backend backend_for(std::vector<NetworkFile> const& files, tweenrt_backend wanted);

// One graph or engine, loaded.
struct Graph {
    std::string path;
    Contract contract;
    std::unique_ptr<Session> session;

    std::vector<Port> inputs() const;
    std::vector<Port> outputs() const;
};

struct Network {
    Graph drawing;
    std::unique_ptr<Graph> first;  // an encoder or a flow network; null for a whole network

    // Throws Fault: WRONG_KIND where the files are not what their places say or do not belong together, UNSUPPORTED for
    // networks that this library does not run.
    Network(std::vector<NetworkFile> const& files, Backend& backend);

    // The input or output of that name. Throws Fault WRONG_KIND where there is none.
    static Port port(std::vector<Port> const& ports, char const* name, std::string const& where);
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_NETWORK_H

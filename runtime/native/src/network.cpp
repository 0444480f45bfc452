#include "network.h"

#include <sys/stat.h>

#include <cstring>

#include "module.h"
#include "report.h"

namespace tweenrt::native {
namespace {

bool is_folder(std::string const& path) {
    struct stat found{};
    return stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

bool is_file(std::string const& path) {
    struct stat found{};
    return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode);
}

NetworkFile described(std::string const& path) {
    return {path, is_engine(path) ? std::make_unique<EngineFile>(path) : nullptr};
}

// Graphs, or engines where there are no graphs.
std::vector<NetworkFile> halves(std::string const& folder) {
    constexpr Kind kPairs[2][2] = {{Kind::kSynthesis, Kind::kEncoder}, {Kind::kRefine, Kind::kFlow}};
    for (char const* ending : {".onnx", ".engine"})
        for (auto const& kinds : kPairs) {
            std::string const drawing = folder + "/" + name_of(kinds[0]) + ending;
            std::string const first = folder + "/" + name_of(kinds[1]) + ending;
            if (!is_file(drawing) && !is_file(first)) continue;
            std::vector<NetworkFile> files;
            files.push_back(described(drawing));
            files.push_back(described(first));
            return files;
        }
    throw Fault(TWEENRT_STATUS_NOT_FOUND, folder +
                                              ": expected a folder with encoder and synthesis, or flow and refine, as "
                                              ".onnx or .engine; make one with `tweenrt export MODEL --kind split`");
}

Contract contract_of(NetworkFile const& file, Session const& session) {
    if (file.engine != nullptr)
        return read_contract([&](char const* key) { return file.engine->property(key); }, file.path);
    return read_contract([&](char const* key) { return session.metadata(key); }, file.path);
}

Graph loaded(NetworkFile const& file, Backend& backend) {
    EngineHeader header{};
    Source source{file.path.c_str(), nullptr, nullptr, 0};
    if (file.engine != nullptr) {
        header = file.engine->header();
        source = {file.path.c_str(), &header, file.engine->plan(), file.engine->plan_bytes()};
    }
    Session* session = nullptr;
    Report report;
    expect(backend.load(source, &session, report), report);
    Graph graph;
    graph.path = file.path;
    graph.session.reset(session);
    graph.contract = contract_of(file, *session);
    return graph;
}

void expect_pair(Graph const& drawing) {
    if (drawing.contract.kind != Kind::kPair)
        throw Fault(TWEENRT_STATUS_WRONG_KIND, drawing.path + ": expected a 'pair' graph, found '" +
                                                   name_of(drawing.contract.kind) +
                                                   "'; give the folder that holds it and its other half");
}

void expect_halves(Graph const& drawing, Graph const& first) {
    Kind const wanted = drawing.contract.kind == Kind::kRefine ? Kind::kFlow : Kind::kEncoder;
    bool const draws = drawing.contract.kind == Kind::kSynthesis || drawing.contract.kind == Kind::kRefine;
    if (!draws || first.contract.kind != wanted)
        throw Fault(TWEENRT_STATUS_WRONG_KIND,
                    first.path + " and " + drawing.path +
                        ": expected 'encoder' and 'synthesis', or 'flow' and 'refine', found '" +
                        name_of(first.contract.kind) + "' and '" + name_of(drawing.contract.kind) + "'");
    if (first.contract.pair_id != drawing.contract.pair_id)
        throw Fault(TWEENRT_STATUS_WRONG_KIND,
                    first.path + " (pair " + first.contract.pair_id + ") and " + drawing.path + " (pair " +
                        drawing.contract.pair_id +
                        ") come from different exports; export them together with --kind split");
}

// Every input and output must be one that this library knows to feed.
void expect_supported(Graph const& graph) {
    for (Port const& port : graph.inputs()) {
        if (port.shape.rank > 0 && port.shape.sizes[0] > 1)
            throw Fault(TWEENRT_STATUS_UNSUPPORTED, graph.path + ": expected a batch of 1 or an open one, " +
                                                        port.name + " has " + std::to_string(port.shape.sizes[0]) +
                                                        "; export the graph with --batch 1");
    }
    bool const bytes = Network::port(graph.outputs(), "frame_t", graph.path).element == Element::kUint8;
    if (bytes != (graph.contract.io == FrameIo::kUint8))
        throw Fault(TWEENRT_STATUS_DAMAGED,
                    graph.path + ": its metadata and its frame_t disagree on the kind of frames");
}

}  // namespace

std::vector<NetworkFile> find_network(std::string const& path) {
    if (is_folder(path)) return halves(path);
    std::vector<NetworkFile> files;
    files.push_back(described(path));
    return files;
}

tweenrt_backend backend_for(std::vector<NetworkFile> const& files, tweenrt_backend wanted) {
    NetworkFile const& file = files.front();
    if (file.engine == nullptr) {
        if (wanted == TWEENRT_BACKEND_AUTO || wanted == TWEENRT_BACKEND_ONNXRUNTIME) return TWEENRT_BACKEND_ONNXRUNTIME;
        throw Fault(TWEENRT_STATUS_MISMATCH, file.path + ": expected an engine for the backend " + name_of(wanted) +
                                                 ", got a graph; build one with `tweenrt build`");
    }
    bool const rtx = file.engine->flavour() == name_of(TWEENRT_BACKEND_TENSORRT_RTX);
    tweenrt_backend const found = rtx ? TWEENRT_BACKEND_TENSORRT_RTX : TWEENRT_BACKEND_TENSORRT;
    if (wanted != TWEENRT_BACKEND_AUTO && wanted != found)
        throw Fault(TWEENRT_STATUS_MISMATCH, file.path + ": an engine for " + name_of(found) + " cannot run on " +
                                                 name_of(wanted) + "; ask for its own backend, or for AUTO");
    return found;
}

std::vector<Port> Graph::inputs() const {
    std::vector<Port> ports;
    for (int32_t i = 0; i < session->input_count(); ++i) ports.push_back(session->input(i));
    return ports;
}

std::vector<Port> Graph::outputs() const {
    std::vector<Port> ports;
    for (int32_t i = 0; i < session->output_count(); ++i) ports.push_back(session->output(i));
    return ports;
}

Network::Network(std::vector<NetworkFile> const& files, Backend& backend) : drawing(loaded(files[0], backend)) {
    if (files.size() > 1) {
        first = std::make_unique<Graph>(loaded(files[1], backend));
        expect_halves(drawing, *first);
    } else {
        expect_pair(drawing);
    }
    expect_supported(drawing);
}

Port Network::port(std::vector<Port> const& ports, char const* name, std::string const& where) {
    for (Port const& port : ports)
        if (std::strcmp(port.name, name) == 0) return port;
    throw Fault(TWEENRT_STATUS_WRONG_KIND, where + ": expected a graph with " + name + ", it has none");
}

}  // namespace tweenrt::native

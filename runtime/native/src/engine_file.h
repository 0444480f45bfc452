// Engine files: a TensorRT plan behind a header of ours. Layout and meaning: runtime/engines/engine_file.py.
#ifndef TWEENRT_NATIVE_ENGINE_FILE_H
#define TWEENRT_NATIVE_ENGINE_FILE_H

#include <cstdint>
#include <string>
#include <vector>

#include "contract.h"
#include "json.h"

namespace tweenrt::native {

// Whether the file at `path` begins like an engine of ours, or is named like one. Throws Fault NOT_FOUND.
bool is_engine(std::string const& path);

// An engine file in memory.
class EngineFile {
  public:
    // Throws Fault: NOT_FOUND, NOT_OURS where it was not written by tweenrt, DAMAGED where a byte is missing or
    // changed.
    explicit EngineFile(std::string const& path);
    EngineFile(EngineFile const&) = delete;
    EngineFile& operator=(EngineFile const&) = delete;

    EngineHeader header() const;
    void const* plan() const { return content_.data() + plan_; }
    size_t plan_bytes() const { return content_.size() - plan_; }
    std::string const& flavour() const { return flavour_; }

    // A property of the graph that it was built from; null where there is none.
    char const* property(std::string const& key) const;

  private:
    void read_header(std::string const& path);
    std::string text(char const* name) const;

    std::vector<uint8_t> content_;
    size_t plan_ = 0;
    Json values_;
    std::string flavour_, tensorrt_, device_, targets_, plugins_, plugins_sha256_, file_sha256_;
    bool portable_ = false;
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_ENGINE_FILE_H

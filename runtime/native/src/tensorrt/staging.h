// Host frames on their way to a GPU and back, through memory that the GPU reads and writes by itself.
#ifndef TWEENRT_NATIVE_TENSORRT_STAGING_H
#define TWEENRT_NATIVE_TENSORRT_STAGING_H

#include <array>
#include <cstddef>

#include "cuda.h"

namespace tweenrt::native {

class Staging {
  public:
    // For frames of one format. Allocates all that is needed.
    Staging(Lane& lane, tweenrt_format const& format);

    // Queues a copy of a host frame, which may be changed at once. The result is in GPU memory, without gaps, until the
    // next call.
    tweenrt_frame upload(tweenrt_frame const& frame);

    // Where in GPU memory a frame is to be written before download().
    tweenrt_frame landing() const;

    // Queues a copy of what landed to a host frame, which is written by finish() at the latest.
    void download(tweenrt_frame const& frame);

    // Writes all frames of download(), but those from before a call that failed: their memory may be gone.
    void finish();

  private:
    struct Block {
        Block(Lane& lane, size_t bytes) : memory(lane, Place::kPinned, bytes), passed(lane) {}
        Memory memory;
        Event passed;
        tweenrt_frame frame{};
        bool pending = false;
        uint64_t failures = 0;
    };

    static constexpr size_t kIn = 2, kOut = 4;

    size_t bytes() const;
    size_t plane_bytes(int32_t plane) const;
    tweenrt_frame at(uint8_t* start) const;
    void copy_rows(tweenrt_frame const& from, tweenrt_frame const& to) const;
    void write(Block& block);

    Lane& lane_;
    tweenrt_format format_;
    std::array<Block, kIn> in_;
    std::array<Block, kOut> out_;
    Memory arrived_, landing_;
    size_t next_in_ = 0, next_out_ = 0;
};

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_STAGING_H

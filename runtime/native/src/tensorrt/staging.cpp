#include "staging.h"

#include <cstring>

#include "../convert.h"

namespace tweenrt::native {

Staging::Staging(Lane& lane, tweenrt_format const& format)
    : lane_(lane),
      format_(format),
      in_{Block(lane, bytes()), Block(lane, bytes())},
      out_{Block(lane, bytes()), Block(lane, bytes()), Block(lane, bytes()), Block(lane, bytes())},
      arrived_(lane, Place::kDevice, bytes()),
      landing_(lane, Place::kDevice, bytes()) {}

tweenrt_frame Staging::upload(tweenrt_frame const& frame) {
    Block& block = in_[next_in_++ % kIn];
    block.passed.wait();
    copy_rows(frame, at(block.memory.data()));
    check(cudaMemcpyAsync(arrived_.data(), block.memory.data(), bytes(), cudaMemcpyHostToDevice, lane_.stream()),
          "cudaMemcpyAsync");
    block.passed.record();
    return at(arrived_.data());
}

tweenrt_frame Staging::landing() const { return at(landing_.data()); }

void Staging::download(tweenrt_frame const& frame) {
    Block& block = out_[next_out_++ % kOut];
    write(block);
    check(cudaMemcpyAsync(block.memory.data(), landing_.data(), bytes(), cudaMemcpyDeviceToHost, lane_.stream()),
          "cudaMemcpyAsync");
    block.passed.record();
    block.frame = frame;
    block.pending = true;
    block.failures = lane_.failures();
}

void Staging::finish() {
    for (size_t k = 0; k < kOut; ++k) write(out_[(next_out_ + k) % kOut]);
}

void Staging::write(Block& block) {
    if (!block.pending) return;
    block.pending = false;
    block.passed.wait();
    if (block.failures == lane_.failures()) copy_rows(at(block.memory.data()), block.frame);
}

size_t Staging::plane_bytes(int32_t plane) const {
    return static_cast<size_t>(row_bytes(format_, plane)) * plane_rows(format_, plane);
}

size_t Staging::bytes() const {
    size_t sum = 0;
    for (int32_t plane = 0; plane < plane_count(format_.pixels); ++plane) sum += plane_bytes(plane);
    return sum;
}

// A frame whose planes follow one another from `start` on, without gaps.
tweenrt_frame Staging::at(uint8_t* start) const {
    tweenrt_frame frame{};
    for (int32_t plane = 0; plane < plane_count(format_.pixels); ++plane) {
        frame.planes[plane] = start;
        frame.pitches[plane] = row_bytes(format_, plane);
        start += plane_bytes(plane);
    }
    return frame;
}

void Staging::copy_rows(tweenrt_frame const& from, tweenrt_frame const& to) const {
    for (int32_t plane = 0; plane < plane_count(format_.pixels); ++plane) {
        auto const bytes = static_cast<size_t>(row_bytes(format_, plane));
        auto const* source = static_cast<uint8_t const*>(from.planes[plane]);
        auto* target = static_cast<uint8_t*>(to.planes[plane]);
        for (int32_t row = 0; row < plane_rows(format_, plane); ++row)
            std::memcpy(target + row * to.pitches[plane], source + row * from.pitches[plane], bytes);
    }
}

}  // namespace tweenrt::native

#include "../common/plugin.h"

#include "kernel.cuh"

namespace tweenrt {
namespace {

// Formats of (frame0, frame1, flow0, flow1, mask, residual, frame_t).
constexpr std::array<Format, 7> combination(Format frames, Format flows, Format maps) {
    return {frames, frames, flows, flows, maps, maps, frames};
}

}  // namespace

struct WarpBlend : OpDefaults {
    static constexpr char const* kName = "WarpBlend";
    static constexpr std::array kInputs{Tensor{"frame0", "N3HW"}, Tensor{"frame1", "N3HW"},
                                        Tensor{"flow0", "N2HW"},  Tensor{"flow1", "N2HW"},
                                        Tensor{"mask", "N1HW"},   Tensor{"residual", nullptr}};
    static constexpr std::array kOutputs{Tensor{"frame_t", "N3HW"}};
    // Mask and residual stay planes beside frames in kHWC8: the one has a single channel, the other may be one number.
    static constexpr std::array kCombinations{
        combination(Format::kHalfHwc8, Format::kFloat, Format::kHalf),
        combination(Format::kHalfHwc8, Format::kHalf, Format::kHalf),
        combination(Format::kHalf, Format::kFloat, Format::kHalf),
        combination(Format::kHalf, Format::kHalf, Format::kHalf),
        combination(Format::kFloat, Format::kFloat, Format::kFloat),
        combination(Format::kFloat, Format::kHalf, Format::kFloat),
    };

    // The residual's shape with ones before it, so that it has four axes.
    static Dims four_axes(Dims dims) {
        dims.insert(dims.begin(), 4 - dims.size(), 1);
        return dims;
    }

    static std::string check(int32_t const*, Letters const& size, std::vector<Dims> const& shapes) {
        Dims const full{size['N'], 3, size['H'], size['W']};
        bool fits = shapes[5].size() <= full.size();
        Dims const residual = fits ? four_axes(shapes[5]) : Dims{};
        for (size_t axis = 0; axis < residual.size(); ++axis)
            fits = fits && (residual[axis] == 1 || residual[axis] == full[axis] || residual[axis] == kUnknown ||
                            full[axis] == kUnknown);
        if (fits) return {};
        std::string got;
        for (auto const side : shapes[5]) got += (got.empty() ? "" : ",") + std::to_string(side);
        return "residual must be [N,3,H,W] or repeat to it, got [" + got + "]";
    }

    static cudaError_t run(Call const& call, void*, cudaStream_t stream) {
        Dims const residual = four_axes(call.shapes[5]);
        auto const side = [&](int axis) { return static_cast<int>(residual[axis]); };
        Size const size{call.size('N'), 3, call.size('H'), call.size('W')};
        return warp_blend(call.formats[0], call.formats[2], size, call.inputs[0], call.inputs[1], call.inputs[2],
                          call.inputs[3], call.inputs[4], call.inputs[5], {side(0), side(1), side(2), side(3)},
                          call.outputs[0], stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(WarpBlend)

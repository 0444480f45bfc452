#include "../common/plugin.h"

#include "kernel.cuh"

namespace tweenrt {

struct DeformConv2d : OpDefaults {
    static constexpr char const* kName = "DeformConv2d";
    static constexpr std::array kInputs{Tensor{"x", "NCHW"}, Tensor{"offset", "NOHW"}, Tensor{"mask", "NMHW"},
                                        Tensor{"weight", "DC33"}, Tensor{"bias", "D"}};
    static constexpr std::array kOutputs{Tensor{"y", "NDHW"}};
    static constexpr std::array kAttributes{Attribute{"offset_group", 1, 1, INT32_MAX}};
    static constexpr Format kFloat = Format::kFloat, kHalf = Format::kHalf, kHwc8 = Format::kHalfHwc8;
    static constexpr std::array kCombinations{
        std::array{kHwc8, kFloat, kFloat, kHalf, kHalf, kHwc8},
        std::array{kHwc8, kFloat, kHalf, kHalf, kHalf, kHwc8},
        std::array{kHwc8, kHalf, kHalf, kHalf, kHalf, kHwc8},
        std::array{kHalf, kFloat, kFloat, kHalf, kHalf, kHalf},
        std::array{kHalf, kFloat, kHalf, kHalf, kHalf, kHalf},
        std::array{kHalf, kHalf, kHalf, kHalf, kHalf, kHalf},
        std::array{kFloat, kFloat, kFloat, kFloat, kFloat, kFloat},
        std::array{kFloat, kHalf, kHalf, kFloat, kFloat, kFloat},
    };

    static std::string check(int32_t const* attributes, Letters const& size, std::vector<Dims> const&) {
        int64_t const groups = attributes[0];
        if (size.known("C") && size['C'] % groups != 0)
            return "offset_group must divide the " + std::to_string(size['C']) + " channels of x, got " +
                   std::to_string(groups);
        if (size.known("O") && size['O'] != 18 * groups)
            return "offset must have offset_group * 18 = " + std::to_string(18 * groups) + " channels, got " +
                   std::to_string(size['O']);
        if (size.known("M") && size['M'] != 9 * groups)
            return "mask must have offset_group * 9 = " + std::to_string(9 * groups) + " channels, got " +
                   std::to_string(size['M']);
        return {};
    }

    static Size size_of(Call const& call) { return {call.size('N'), call.size('C'), call.size('H'), call.size('W')}; }

    static size_t workspace(Call const& call) {
        return deform_conv2d_workspace(call.formats[0], size_of(call), call.size('D'), call.attributes[0]);
    }

    static cudaError_t run(Call const& call, void* workspace, cudaStream_t stream) {
        Taps const taps{call.attributes[0], call.formats[1], call.formats[2], call.inputs[1], call.inputs[2]};
        return deform_conv2d(call.formats[0], size_of(call), call.size('D'), taps, call.inputs[0], call.inputs[3],
                             call.inputs[4], call.outputs[0], workspace, stream);
    }
};

}  // namespace tweenrt

TWEENRT_PLUGIN(DeformConv2d)

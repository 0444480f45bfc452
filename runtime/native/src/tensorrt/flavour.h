// Which TensorRT a module is for. The same sources are compiled once for each: with TWEENRT_RTX for TensorRT-RTX.
//
// The classes that TensorRT implements differ between its major versions, and between TensorRT and TensorRT-RTX, in the
// order of their virtual functions; within one major version functions are only added, at the end. So a module serves
// the major version whose headers it was compiled with, and calls only what that version has had from the oldest on
// that tweenrt takes.
#ifndef TWEENRT_NATIVE_TENSORRT_FLAVOUR_H
#define TWEENRT_NATIVE_TENSORRT_FLAVOUR_H

#include <NvInferVersion.h>

#include <cstdint>

#define TWEENRT_TEXT_OF(number) #number
#define TWEENRT_TEXT(number) TWEENRT_TEXT_OF(number)

namespace tweenrt::native {

constexpr int32_t kHeaderMajor = NV_TENSORRT_MAJOR;
constexpr char kHeaderVersion[] = TWEENRT_TEXT(NV_TENSORRT_MAJOR) "." TWEENRT_TEXT(NV_TENSORRT_MINOR);

#ifdef TWEENRT_RTX
constexpr char kFlavour[] = "tensorrt-rtx";
constexpr char kLibrary[] = "libtensorrt_rtx.so.1";
constexpr int32_t kOldest = 10700;  // as getInferLibVersion() counts
constexpr char kOldestText[] = "1.7";
constexpr char kUpgrade[] = "; install a later one";
constexpr char kHeadersVariable[] = "TENSORRT_RTX_ROOT";
#else
constexpr char kFlavour[] = "tensorrt";
constexpr char kLibrary[] = "libnvinfer.so." TWEENRT_TEXT(NV_TENSORRT_MAJOR);
constexpr int32_t kOldest = 100300;
constexpr char kOldestText[] = "10.3";
constexpr char kUpgrade[] = "; JetPack 6.1 and later bring it";
constexpr char kHeadersVariable[] = "TENSORRT_ROOT";
#endif

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_FLAVOUR_H

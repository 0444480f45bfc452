// What TensorRT-RTX compiled for an engine, kept in the cache folder where runtime/engines/engine_loader.py keeps it too.
#ifndef TWEENRT_NATIVE_TENSORRT_KERNEL_CACHE_H
#define TWEENRT_NATIVE_TENSORRT_KERNEL_CACHE_H

#include <cstddef>
#include <string>

namespace tweenrt::native {

// `key` is the SHA-256 of the engine file, in hexadecimal digits. Empty where nothing whole is kept.
std::string read_kernels(std::string const& key);

// The last of several writers wins, and no reader sees half of a file. Where it cannot be written, nothing happens.
void write_kernels(std::string const& key, void const* kernels, size_t bytes) noexcept;

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_TENSORRT_KERNEL_CACHE_H

# The backends for TensorRT and TensorRT-RTX: the same sources, once with the headers of each. What the libraries
# implement differs between major versions, so a module serves the major version of the headers it was compiled with,
# and says so where it meets another one. TENSORRT_RTX_ROOT names a TensorRT-RTX; without one its module is compiled
# with TensorRT's headers, which shows that it can be, and refuses to run.
include(CudaArchitectures)
enable_language(CUDA)
drop_unknown_architectures()
find_package(TensorRTHeaders REQUIRED)
find_path(TensorRTRTXHeaders_INCLUDE_DIR NvInferRuntime.h
  HINTS ${TENSORRT_RTX_ROOT} $ENV{TENSORRT_RTX_ROOT} PATH_SUFFIXES include NO_DEFAULT_PATH)
if(NOT TensorRTRTXHeaders_INCLUDE_DIR)
  message(STATUS "No TensorRT-RTX headers found (set TENSORRT_RTX_ROOT): its backend will refuse to run")
  set(TensorRTRTXHeaders_INCLUDE_DIR "${TensorRTHeaders_INCLUDE_DIR}")
endif()

add_subdirectory(src/tensorrt)

function(tweenrt_tensorrt_module name headers)
  list(TRANSFORM ARGN PREPEND src/tensorrt/)
  tweenrt_module(${name} ${ARGN} src/sha256.cpp $<TARGET_OBJECTS:tweenrt_kernels>)
  target_include_directories(tweenrt_${name} SYSTEM PRIVATE "${headers}"
    ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  # With the CUDA runtime inside, as in the plugin library: a machine without one has no other version to offer.
  set_target_properties(tweenrt_${name} PROPERTIES LINKER_LANGUAGE CUDA CUDA_RUNTIME_LIBRARY Static)
endfunction()

set(tensorrt_sources backend.cpp context.cpp cuda.cpp engine.cpp graphs.cpp kernel_cache.cpp library.cpp log.cpp
  plugins.cpp profiles.cpp session.cpp staging.cpp)
tweenrt_tensorrt_module(tensorrt "${TensorRTHeaders_INCLUDE_DIR}" ${tensorrt_sources})
tweenrt_tensorrt_module(tensorrt_rtx "${TensorRTRTXHeaders_INCLUDE_DIR}" ${tensorrt_sources})
target_compile_definitions(tweenrt_tensorrt_rtx PRIVATE TWEENRT_RTX)

# TensorRTHeaders_INCLUDE_DIR: the folder of NvInferRuntimePlugin.h. In this order: TENSORRT_ROOT (variable or environment),
# the system, and a pinned package of NVIDIA's Apache-2.0 headers (10.14.1), of which no code enters the library but
# the plugin interfaces; those are the same from TensorRT 10.3 to 11 and in TensorRT-RTX.
find_path(TensorRTHeaders_INCLUDE_DIR NvInferRuntimePlugin.h
  HINTS ${TENSORRT_ROOT} $ENV{TENSORRT_ROOT} PATH_SUFFIXES include)
if(NOT TensorRTHeaders_INCLUDE_DIR)
  set(wheel "${CMAKE_BINARY_DIR}/kernel_lens-2.0.1-py3-none-any.whl")
  if(NOT EXISTS "${wheel}")
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    message(STATUS "No TensorRT headers found (set TENSORRT_ROOT); fetching the pinned ones with pip")
    execute_process(COMMAND ${Python3_EXECUTABLE} -m pip download --quiet --disable-pip-version-check --no-deps
      --dest "${CMAKE_BINARY_DIR}" kernel-lens==2.0.1 RESULT_VARIABLE failed ERROR_VARIABLE why)
    if(failed)
      message(FATAL_ERROR "The TensorRT headers could not be fetched; install TensorRT's or set TENSORRT_ROOT.\n${why}")
    endif()
  endif()
  file(SHA256 "${wheel}" sum)
  if(NOT sum STREQUAL 07cc714e8b5e7f34b672f7c7fad93febe7c747be5837ba276b1527370134ffe0)
    file(REMOVE "${wheel}")
    message(FATAL_ERROR "${wheel} had the wrong SHA-256 (${sum}) and was removed; configure again")
  endif()
  file(ARCHIVE_EXTRACT INPUT "${wheel}" DESTINATION "${CMAKE_BINARY_DIR}/headers")
  set(TensorRTHeaders_INCLUDE_DIR "${CMAKE_BINARY_DIR}/headers/kernel_lens/include/tensorrt")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TensorRTHeaders REQUIRED_VARS TensorRTHeaders_INCLUDE_DIR)

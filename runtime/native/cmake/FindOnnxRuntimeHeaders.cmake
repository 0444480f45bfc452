# OnnxRuntimeHeaders_INCLUDE_DIR: the folder of onnxruntime_c_api.h. In this order: ONNXRUNTIME_ROOT (variable or
# environment; an unpacked release of ONNX Runtime), the system, and a pinned package of Debian's (1.21, MIT) from the
# archive that apt is set up with.
# They are the same for every processor, and the library that runs may be older (from 1.17 on) or newer.
find_path(OnnxRuntimeHeaders_INCLUDE_DIR onnxruntime_c_api.h
  HINTS ${ONNXRUNTIME_ROOT} $ENV{ONNXRUNTIME_ROOT}
  PATH_SUFFIXES include include/onnxruntime include/onnxruntime/core/session onnxruntime onnxruntime/core/session)
if(NOT OnnxRuntimeHeaders_INCLUDE_DIR)
  set(package "${CMAKE_BINARY_DIR}/libonnxruntime-dev.deb")
  set(folder "${CMAKE_BINARY_DIR}/onnxruntime-headers")
  set(remedy "unpack a release of ONNX Runtime and set ONNXRUNTIME_ROOT to it, or build without: -DTWEENRT_ONNXRUNTIME=OFF")
  execute_process(COMMAND apt-get indextargets "--format=$(REPO_URI)" "Created-By: Packages"
    OUTPUT_VARIABLE archives ERROR_QUIET)
  string(REGEX MATCH "[^\n]+/debian/\n" archive "${archives}")
  string(STRIP "${archive}" archive)
  if(NOT archive)
    message(FATAL_ERROR "No ONNX Runtime headers found, and apt knows no archive of Debian to fetch them from: ${remedy}")
  endif()
  message(STATUS "No ONNX Runtime headers found (set ONNXRUNTIME_ROOT); fetching the pinned ones from Debian's archive")
  file(DOWNLOAD "${archive}pool/main/o/onnxruntime/libonnxruntime-dev_1.21.0%2bdfsg-1_amd64.deb" "${package}"
    TIMEOUT 60 STATUS status)
  list(GET status 0 failed)
  if(failed)
    file(REMOVE "${package}")
    message(FATAL_ERROR "The ONNX Runtime headers could not be fetched (${status}): ${remedy}")
  endif()
  file(SHA256 "${package}" sum)
  if(NOT sum STREQUAL 14f7d959d5deacbcf1504830d4189f91fc67382b399ed9ae9d3aa9c4050ced08)
    file(REMOVE "${package}")
    message(FATAL_ERROR "${package} had the wrong SHA-256 (${sum}) and was removed; configure again")
  endif()
  file(ARCHIVE_EXTRACT INPUT "${package}" DESTINATION "${folder}" PATTERNS data.tar*)
  file(ARCHIVE_EXTRACT INPUT "${folder}/data.tar.xz" DESTINATION "${folder}")
  set(OnnxRuntimeHeaders_INCLUDE_DIR "${folder}/usr/include/onnxruntime")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OnnxRuntimeHeaders REQUIRED_VARS OnnxRuntimeHeaders_INCLUDE_DIR)

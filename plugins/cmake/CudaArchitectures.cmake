# The architectures the library is compiled for unless CMAKE_CUDA_ARCHITECTURES says otherwise: Turing, Ampere (A100,
# GeForce, Orin), Ada, Hopper, Blackwell (B200, Thor, GeForce), and PTX of the newest for what comes after.
# Orin (87) and Thor (110) must be named: code for another architecture of the same family does not run on Jetsons.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 87-real 89-real 90-real 100-real 110-real 120)
  set(tweenrt_default_architectures ON)
endif()

# CUDA 12.6 (JetPack 6) does not know Blackwell: of the default list keep what the compiler knows, the last with PTX.
macro(drop_unknown_architectures)
  if(tweenrt_default_architectures)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE known COMMAND_ERROR_IS_FATAL ANY)
    set(kept "")
    foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
      string(REGEX REPLACE "-real" "" number "${architecture}")
      if(known MATCHES "sm_${number}\n")
        list(APPEND kept ${number})
      endif()
    endforeach()
    list(POP_BACK kept newest)
    list(TRANSFORM kept APPEND "-real")
    set(CMAKE_CUDA_ARCHITECTURES ${kept} ${newest})
  endif()
endmacro()

// Messages to the application's TensorRT logger.
#pragma once

#include <string>

namespace tweenrt {

// To the logger that TensorRT gave us, to standard error before it gave one.
void log_error(std::string const& text) noexcept;

}  // namespace tweenrt

// How faults travel: as exceptions inside of a library, as a status and a Report across its border.
#ifndef TWEENRT_NATIVE_REPORT_H
#define TWEENRT_NATIVE_REPORT_H

#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "backend.h"

namespace tweenrt::native {

// A fault with its status.
class Fault : public std::runtime_error {
  public:
    Fault(tweenrt_status status, std::string const& text) : std::runtime_error(text), status_(status) {}
    tweenrt_status status() const noexcept { return status_; }

  private:
    tweenrt_status status_;
};

inline tweenrt_status report_as(tweenrt_status status, char const* text, Report& report) noexcept {
    std::snprintf(report.text, sizeof report.text, "%s", text);
    return status;
}

// Calls `work()`; what it throws becomes a status and a text.
template <class Work>
tweenrt_status guarded(Report& report, Work&& work) noexcept {
    try {
        work();
        return TWEENRT_STATUS_OK;
    } catch (Fault const& fault) {
        return report_as(fault.status(), fault.what(), report);
    } catch (std::bad_alloc const&) {
        return report_as(TWEENRT_STATUS_OUT_OF_MEMORY, "out of memory", report);
    } catch (std::exception const& fault) {
        return report_as(TWEENRT_STATUS_INTERNAL, fault.what(), report);
    } catch (...) {
        return report_as(TWEENRT_STATUS_INTERNAL, "an unknown exception", report);
    }
}

// Throws what `report` says, unless `status` is OK.
inline void expect(tweenrt_status status, Report const& report) {
    if (status != TWEENRT_STATUS_OK) throw Fault(status, report.text);
}

}  // namespace tweenrt::native

#endif  // TWEENRT_NATIVE_REPORT_H

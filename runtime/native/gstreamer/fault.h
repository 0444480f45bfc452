// How faults of the library reach the application: as an error message on the bus and a flow that ends the stream.
#ifndef TWEENRT_GSTREAMER_FAULT_H
#define TWEENRT_GSTREAMER_FAULT_H

#include <gst/gst.h>

#include <exception>
#include <tweenrt/tweenrt.hpp>

namespace tweenrt::gstreamer {

// A flow that is no fault but ends the work at hand, such as GST_FLOW_FLUSHING.
struct Stopped {
    GstFlowReturn flow;
};

// Posts an error message with `text`, of the kind that `status` belongs to.
void post_error(GstElement* element, tweenrt_status status, char const* text);

// What `work()` returns; what it throws is posted and becomes GST_FLOW_ERROR.
template <class Work>
GstFlowReturn guarded(GstElement* element, Work&& work) noexcept {
    try {
        return work();
    } catch (Stopped const& stopped) {
        return stopped.flow;
    } catch (Error const& error) {
        post_error(element, error.status(), error.what());
    } catch (std::exception const& error) {
        post_error(element, TWEENRT_STATUS_INTERNAL, error.what());
    }
    return GST_FLOW_ERROR;
}

}  // namespace tweenrt::gstreamer

#endif  // TWEENRT_GSTREAMER_FAULT_H

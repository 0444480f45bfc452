#include "fault.h"

namespace tweenrt::gstreamer {
namespace {

struct Kind {
    GQuark domain;
    int code;
};

Kind kind_of(tweenrt_status status) {
    switch (status) {
        case TWEENRT_STATUS_INVALID_ARGUMENT:
        case TWEENRT_STATUS_UNSUPPORTED:
            return {GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT};
        case TWEENRT_STATUS_NOT_FOUND:
            return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND};
        case TWEENRT_STATUS_NOT_OURS:
        case TWEENRT_STATUS_DAMAGED:
        case TWEENRT_STATUS_WRONG_KIND:
        case TWEENRT_STATUS_MISMATCH:
            return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ};
        case TWEENRT_STATUS_OUT_OF_MEMORY:
            return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT};
        case TWEENRT_STATUS_MISSING_LIBRARY:
        case TWEENRT_STATUS_NO_DEVICE:
            return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_INIT};
        default:
            return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED};
    }
}

}  // namespace

void post_error(GstElement* element, tweenrt_status status, char const* text) {
    Kind const kind = kind_of(status);
    gst_element_message_full(element, GST_MESSAGE_ERROR, kind.domain, kind.code, g_strdup(text),
                             g_strdup(tweenrt_status_text(status)), __FILE__, GST_FUNCTION, __LINE__);
}

}  // namespace tweenrt::gstreamer

// GStreamer's buffers and mapped frames, owned.
#ifndef TWEENRT_GSTREAMER_BUFFER_H
#define TWEENRT_GSTREAMER_BUFFER_H

#include <gst/video/video.h>

#include <memory>
#include <tweenrt/tweenrt.hpp>

namespace tweenrt::gstreamer {

struct BufferRelease {
    void operator()(GstBuffer* buffer) const { gst_buffer_unref(buffer); }
};
using BufferPtr = std::unique_ptr<GstBuffer, BufferRelease>;

// A buffer's pixels, mapped as long as this object lives.
class MappedFrame {
  public:
    // Throws Error if the buffer is smaller than `info` says.
    MappedFrame(GstVideoInfo const& info, GstBuffer* buffer, GstMapFlags access) {
        if (!gst_video_frame_map(&frame_, &info, buffer, access))
            throw Error(TWEENRT_STATUS_INVALID_ARGUMENT, "a buffer does not hold a frame of the format in its caps");
    }
    MappedFrame(MappedFrame const&) = delete;
    MappedFrame& operator=(MappedFrame const&) = delete;
    ~MappedFrame() { gst_video_frame_unmap(&frame_); }

    tweenrt_frame get() const {
        tweenrt_frame frame{};
        for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&frame_); ++plane) {
            frame.planes[plane] = GST_VIDEO_FRAME_PLANE_DATA(&frame_, plane);
            frame.pitches[plane] = GST_VIDEO_FRAME_PLANE_STRIDE(&frame_, plane);
        }
        frame.memory = TWEENRT_MEMORY_HOST;
        return frame;
    }

  private:
    GstVideoFrame frame_;
};

}  // namespace tweenrt::gstreamer

#endif  // TWEENRT_GSTREAMER_BUFFER_H

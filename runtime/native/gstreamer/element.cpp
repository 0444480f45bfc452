#include "element.h"

#include <gst/video/gstvideofilter.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "caps.h"
#include "fault.h"
#include "settings.h"
#include "stream.h"

GST_DEBUG_CATEGORY_STATIC(tweenrt_interpolate_debug);
#define GST_CAT_DEFAULT tweenrt_interpolate_debug

using namespace tweenrt::gstreamer;

namespace {

struct Own {
    Settings settings;        // under the object's lock
    tweenrt_stats counted{};  // under the object's lock
    std::optional<tweenrt::Interpolator> interpolator;
    std::optional<Stream> stream;
    std::atomic<GstClockTime> latency{0};
};

class Lock {
  public:
    explicit Lock(gpointer object) : object_(object) { GST_OBJECT_LOCK(object_); }
    Lock(Lock const&) = delete;
    Lock& operator=(Lock const&) = delete;
    ~Lock() { GST_OBJECT_UNLOCK(object_); }

  private:
    gpointer object_;
};

}  // namespace

struct TweenrtInterpolate {
    GstVideoFilter filter;
    Own* own;
};

struct TweenrtInterpolateClass {
    GstVideoFilterClass filter;
};

G_DEFINE_TYPE(TweenrtInterpolate, tweenrt_interpolate, GST_TYPE_VIDEO_FILTER)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE(tweenrtinterpolate, "tweenrtinterpolate", GST_RANK_NONE,
                                      tweenrt_interpolate_get_type(),
                                      GST_DEBUG_CATEGORY_INIT(tweenrt_interpolate_debug, "tweenrtinterpolate", 0,
                                                              "Frames between the frames of a video"))

namespace {

TweenrtInterpolate* self_of(gpointer object) { return static_cast<TweenrtInterpolate*>(object); }
Own& own_of(gpointer object) { return *self_of(object)->own; }

GstBaseTransformClass* parent() { return GST_BASE_TRANSFORM_CLASS(tweenrt_interpolate_parent_class); }

Settings settings_of(gpointer element) {
    Lock const lock{element};
    return own_of(element).settings;
}

tweenrt_stats counted_of(gpointer element) {
    Lock const lock{element};
    return own_of(element).counted;
}

void set_property(GObject* object, guint property, GValue const* value, GParamSpec* spec) {
    Lock const lock{object};
    if (!set_setting(own_of(object).settings, property, value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, property, spec);
}

void get_property(GObject* object, guint property, GValue* value, GParamSpec* spec) {
    Lock const lock{object};
    Own const& own = own_of(object);
    if (!get_setting(own.settings, property, value) && !get_count(own.counted, property, value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, property, spec);
}

void finalize(GObject* object) {
    delete self_of(object)->own;
    G_OBJECT_CLASS(tweenrt_interpolate_parent_class)->finalize(object);
}

// Called by threads of the backend too.
void on_log(void* element, tweenrt_log_level level, char const* text) {
    GstDebugLevel const levels[] = {GST_LEVEL_ERROR, GST_LEVEL_WARNING, GST_LEVEL_INFO, GST_LEVEL_DEBUG};
    GST_CAT_LEVEL_LOG(GST_CAT_DEFAULT, levels[std::clamp(level, 0, 3)], element, "%s", text);
}

GstFlowReturn open_network(GstElement* element) {
    Settings const settings = settings_of(element);
    if (settings.graph.empty())
        throw tweenrt::Error(TWEENRT_STATUS_NOT_FOUND,
                             "expected the property graph to name an ONNX file, an engine or a folder, got nothing");
    tweenrt::Params params = settings.params();
    params->log = on_log;
    params->log_user = element;
    own_of(element).interpolator.emplace(params);
    Lock const lock{element};
    own_of(element).counted = {};
    return GST_FLOW_OK;
}

gboolean start(GstBaseTransform* transform) {
    GstElement* const element = GST_ELEMENT(transform);
    return guarded(element, [&] { return open_network(element); }) == GST_FLOW_OK;
}

gboolean stop(GstBaseTransform* transform) {
    tweenrt_stats const counted = counted_of(transform);
    GST_INFO_OBJECT(transform,
                    "%" G_GUINT64_FORMAT " frames in, %" G_GUINT64_FORMAT " drawn, %" G_GUINT64_FORMAT
                    " encoder runs, %" G_GUINT64_FORMAT " drawing runs",
                    counted.prepared, counted.drawn, counted.first_runs, counted.drawing_runs);
    own_of(transform).stream.reset();
    own_of(transform).interpolator.reset();
    own_of(transform).latency = 0;
    return TRUE;
}

GstCaps* transform_caps(GstBaseTransform* transform, GstPadDirection direction, GstCaps* caps, GstCaps* filter) {
    GstCaps* const other = across(caps, direction, settings_of(transform).retiming);
    if (filter == nullptr) return other;
    GstCaps* const allowed = gst_caps_intersect_full(filter, other, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref(other);
    return allowed;
}

BufferPtr allocate(GstBaseTransform* transform) {
    GstBufferPool* const pool = gst_base_transform_get_buffer_pool(transform);
    if (pool == nullptr) throw Stopped{GST_FLOW_NOT_NEGOTIATED};
    GstBuffer* buffer = nullptr;
    GstFlowReturn flow = GST_FLOW_ERROR;
    if (gst_buffer_pool_set_active(pool, TRUE)) flow = gst_buffer_pool_acquire_buffer(pool, &buffer, nullptr);
    gst_object_unref(pool);
    if (flow != GST_FLOW_OK) throw Stopped{flow};
    return BufferPtr{buffer};
}

// What the stream has to hand on now; null if nothing.
BufferPtr next_of(GstBaseTransform* transform) {
    Own& own = own_of(transform);
    BufferPtr buffer = own.stream->next();
    tweenrt_stats const counted = own.interpolator->statistics();
    Lock const lock{transform};
    own.counted = counted;
    return buffer;
}

GstFlowReturn drain(GstBaseTransform* transform, GstClockTime limit = GST_CLOCK_TIME_NONE) {
    Own& own = own_of(transform);
    if (!own.stream) return GST_FLOW_OK;
    own.stream->drain(limit);
    while (BufferPtr buffer = next_of(transform)) {
        GstFlowReturn const flow = gst_pad_push(GST_BASE_TRANSFORM_SRC_PAD(transform), buffer.release());
        if (flow != GST_FLOW_OK) return flow;
    }
    return GST_FLOW_OK;
}

void set_latency(GstBaseTransform* transform, GstClockTime latency) {
    if (own_of(transform).latency.exchange(latency) == latency) return;
    gst_element_post_message(GST_ELEMENT(transform), gst_message_new_latency(GST_OBJECT(transform)));
}

// In place of GstVideoFilter's, which would make this a filter that works in place.
gboolean set_caps(GstBaseTransform* transform, GstCaps* in, GstCaps*) {
    GstVideoInfo info;
    if (!gst_video_info_from_caps(&info, in)) return FALSE;
    Own& own = own_of(transform);
    GstFlowReturn const flow = guarded(GST_ELEMENT(transform), [&] {
        drain(transform);
        own.stream.reset();
        own.stream.emplace(*own.interpolator, settings_of(transform).retiming, info,
                           [transform] { return allocate(transform); });
        set_latency(transform, frame_time(info) * frames_ahead(own.interpolator->info()));
        return GST_FLOW_OK;
    });
    return flow == GST_FLOW_OK;
}

GstFlowReturn take(GstBaseTransform* transform, BufferPtr frame) {
    Stream& stream = *own_of(transform).stream;
    if (transform->segment.rate < 0) {
        stream.pass(std::move(frame));
        return GST_FLOW_OK;
    }
    if (stream.breaks_at(frame.get())) {
        GstFlowReturn const flow = drain(transform, GST_BUFFER_PTS(frame.get()));
        if (flow != GST_FLOW_OK) return flow;
    }
    stream.push(std::move(frame));
    return GST_FLOW_OK;
}

GstFlowReturn submit_input_buffer(GstBaseTransform* transform, gboolean discont, GstBuffer* input) {
    GstFlowReturn const flow = parent()->submit_input_buffer(transform, discont, input);
    if (flow != GST_FLOW_OK) return flow;
    BufferPtr frame{std::exchange(transform->queued_buf, nullptr)};
    return guarded(GST_ELEMENT(transform), [&] { return take(transform, std::move(frame)); });
}

GstFlowReturn generate_output(GstBaseTransform* transform, GstBuffer** output) {
    return guarded(GST_ELEMENT(transform), [&] {
        *output = next_of(transform).release();
        return GST_FLOW_OK;
    });
}

gboolean sink_event(GstBaseTransform* transform, GstEvent* event) {
    switch (GST_EVENT_TYPE(event)) {
        case GST_EVENT_STREAM_START:
        case GST_EVENT_SEGMENT:
        case GST_EVENT_SEGMENT_DONE:
        case GST_EVENT_GAP:
        case GST_EVENT_EOS:
            guarded(GST_ELEMENT(transform), [&] { return drain(transform); });
            break;
        case GST_EVENT_FLUSH_STOP:
            if (own_of(transform).stream) own_of(transform).stream->reset();
            break;
        default:
            break;
    }
    return parent()->sink_event(transform, event);
}

gboolean answer_latency(GstBaseTransform* transform, GstQuery* query) {
    if (!gst_pad_peer_query(GST_BASE_TRANSFORM_SINK_PAD(transform), query)) return FALSE;
    gboolean live = FALSE;
    GstClockTime least = 0, most = GST_CLOCK_TIME_NONE;
    gst_query_parse_latency(query, &live, &least, &most);
    GstClockTime const own = own_of(transform).latency;
    gst_query_set_latency(query, live, least + own, GST_CLOCK_TIME_IS_VALID(most) ? most + own : most);
    return TRUE;
}

gboolean answer(GstBaseTransform* transform, GstPadDirection direction, GstQuery* query) {
    if (direction == GST_PAD_SRC && GST_QUERY_TYPE(query) == GST_QUERY_LATENCY) return answer_latency(transform, query);
    if (direction == GST_PAD_SINK && GST_QUERY_TYPE(query) == GST_QUERY_DRAIN)
        guarded(GST_ELEMENT(transform), [&] { return drain(transform); });
    return parent()->query(transform, direction, query);
}

// Asks for as many more buffers as are held back.
gboolean propose_allocation(GstBaseTransform* transform, GstQuery* decided, GstQuery* query) {
    if (!parent()->propose_allocation(transform, decided, query)) return FALSE;
    guint const held = static_cast<guint>(frames_ahead(own_of(transform).interpolator->info()));
    for (guint i = 0; i < gst_query_get_n_allocation_pools(query); ++i) {
        GstBufferPool* pool = nullptr;
        guint size = 0, least = 0, most = 0;
        gst_query_parse_nth_allocation_pool(query, i, &pool, &size, &least, &most);
        gst_query_set_nth_allocation_pool(query, i, pool, size, std::max(least, held + 1), most);
        if (pool != nullptr) gst_object_unref(pool);
    }
    return TRUE;
}

// Drops pools that cannot give as many buffers as are drawn at a time, since waiting for more would never end.
gboolean decide_allocation(GstBaseTransform* transform, GstQuery* query) {
    for (guint i = gst_query_get_n_allocation_pools(query); i-- > 0;) {
        guint most = 0;
        gst_query_parse_nth_allocation_pool(query, i, nullptr, nullptr, nullptr, &most);
        if (most > 0 && most < kDrawnAtOnce + 1) gst_query_remove_nth_allocation_pool(query, i);
    }
    return parent()->decide_allocation(transform, query);
}

}  // namespace

static void tweenrt_interpolate_init(TweenrtInterpolate* self) {
    self->own = new Own;
    gst_base_transform_set_prefer_passthrough(GST_BASE_TRANSFORM(self), FALSE);
    gst_base_transform_set_qos_enabled(GST_BASE_TRANSFORM(self), FALSE);  // it would leave source frames out
}

static void tweenrt_interpolate_class_init(TweenrtInterpolateClass* type) {
    GObjectClass* const object = G_OBJECT_CLASS(type);
    object->set_property = set_property;
    object->get_property = get_property;
    object->finalize = finalize;
    install_properties(object);

    GstElementClass* const element = GST_ELEMENT_CLASS(type);
    gst_element_class_set_static_metadata(element, "Frame interpolator", "Filter/Effect/Video",
                                          "Draws frames between the frames of a video with a network of tweenrt",
                                          "The tweenrt authors");
    GstCaps* const caps = gst_caps_from_string(TWEENRT_GSTREAMER_CAPS);
    gst_element_class_add_pad_template(element, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
    gst_element_class_add_pad_template(element, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);

    GstBaseTransformClass* const transform = GST_BASE_TRANSFORM_CLASS(type);
    transform->start = start;
    transform->stop = stop;
    transform->transform_caps = transform_caps;
    transform->submit_input_buffer = submit_input_buffer;
    transform->generate_output = generate_output;
    transform->sink_event = sink_event;
    transform->query = answer;
    transform->propose_allocation = propose_allocation;
    transform->decide_allocation = decide_allocation;
    transform->set_caps = set_caps;
}

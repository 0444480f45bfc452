// Drives the element tweenrtinterpolate by commands from the standard input, one a line, and prints what comes out of
// it as it comes:
//
//     set NAME VALUE | start | wants CAPS | takes | caps CAPS | segment RATE START | push PTS DURATION VALUE [discont]
//     gap PTS DURATION | eos | flush | stream-start | drain | latency LIVE LEAST MOST | pool MOST | buffers | get NAME
//
// Times are nanoseconds, -1 for none; all bytes of a pushed frame are VALUE.
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

namespace {

class Harness {
  public:
    Harness() : element_(gst_element_factory_make("tweenrtinterpolate", nullptr)), bus_(gst_bus_new()) {
        gst_object_ref_sink(element_);
        gst_element_set_bus(element_, bus_);
    }
    ~Harness() {
        if (harness_ != nullptr) gst_harness_teardown(harness_);
        gst_bus_set_flushing(bus_, TRUE);
        gst_object_unref(element_);
        gst_object_unref(bus_);
    }

    void obey(std::string const& line) {
        std::istringstream words{line};
        std::string verb;
        words >> verb;
        if (verb == "set") {
            std::string name, value;
            words >> name >> value;
            gst_util_set_object_arg(G_OBJECT(element_), name.c_str(), value.c_str());
        } else if (verb == "start") {
            start();
        } else if (verb == "caps") {
            gst_harness_set_src_caps(harness_, gst_caps_from_string(rest(words).c_str()));
        } else if (verb == "wants") {
            gst_harness_set_sink_caps(harness_, gst_caps_from_string(rest(words).c_str()));
        } else if (verb == "takes") {
            takes();
        } else if (verb == "push") {
            push(words);
        } else if (verb == "latency") {
            latency(words);
        } else if (verb == "pool") {
            words >> most_buffers_;
        } else if (verb == "get") {
            get(rest(words));
        } else if (verb == "buffers") {
            buffers();
        } else if (verb == "drain") {
            GstQuery* const query = gst_query_new_drain();
            gst_pad_peer_query(harness_->srcpad, query);
            gst_query_unref(query);
        } else {
            event(verb, words);
        }
        report_messages();
    }

  private:
    static std::string rest(std::istringstream& words) {
        std::string text;
        std::getline(words >> std::ws, text);
        return text;
    }

    void start() {
        harness_ = gst_harness_new_with_element(element_, "sink", "src");
        gst_harness_set_drop_buffers(harness_, TRUE);
        auto const types =
            GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM;
        gst_pad_add_probe(harness_->sinkpad, static_cast<GstPadProbeType>(types), seen, this, nullptr);
        gst_harness_play(harness_);
    }

    static GstPadProbeReturn seen(GstPad*, GstPadProbeInfo* info, gpointer self) {
        if (info->type & GST_PAD_PROBE_TYPE_BUFFER) print(gst_pad_probe_info_get_buffer(info));
        if (info->type & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM) {
            GstEvent* const event = gst_pad_probe_info_get_event(info);
            std::printf("event %s\n", GST_EVENT_TYPE_NAME(event));
            if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) print_rate(event);
        }
        if (info->type & GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM)
            return static_cast<Harness*>(self)->offer_pool(gst_pad_probe_info_get_query(info));
        return GST_PAD_PROBE_OK;
    }

    static void print(GstBuffer* buffer) {
        GstMapInfo map;
        gst_buffer_map(buffer, &map, GST_MAP_READ);
        std::printf("frame %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %d%s\n",
                    static_cast<gint64>(GST_BUFFER_PTS(buffer)), static_cast<gint64>(GST_BUFFER_DURATION(buffer)),
                    map.data[0], GST_BUFFER_IS_DISCONT(buffer) ? " discont" : "");
        gst_buffer_unmap(buffer, &map);
    }

    static void print_rate(GstEvent* event) {
        GstCaps* caps = nullptr;
        gst_event_parse_caps(event, &caps);
        gint numerator = 0, denominator = 1;
        gst_structure_get_fraction(gst_caps_get_structure(caps, 0), "framerate", &numerator, &denominator);
        std::printf("rate %d/%d\n", numerator, denominator);
    }

    // Answers as an element that has no more than so many buffers.
    GstPadProbeReturn offer_pool(GstQuery* query) {
        if (most_buffers_ == 0 || GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION) return GST_PAD_PROBE_OK;
        GstCaps* caps = nullptr;
        gst_query_parse_allocation(query, &caps, nullptr);
        GstVideoInfo info;
        gst_video_info_from_caps(&info, caps);
        GstBufferPool* const pool = gst_video_buffer_pool_new();
        gst_query_add_allocation_pool(query, pool, static_cast<guint>(info.size), 1, most_buffers_);
        gst_object_unref(pool);
        return GST_PAD_PROBE_HANDLED;
    }

    void push(std::istringstream& words) {
        gint64 pts = 0, duration = 0;
        int value = 0;
        std::string mark;
        words >> pts >> duration >> value >> mark;
        GstCaps* const caps = gst_pad_get_current_caps(harness_->srcpad);
        GstVideoInfo info;
        gst_video_info_from_caps(&info, caps);
        gst_caps_unref(caps);
        GstBuffer* const buffer = gst_buffer_new_allocate(nullptr, info.size, nullptr);
        gst_buffer_memset(buffer, 0, static_cast<guint8>(value), info.size);
        GST_BUFFER_PTS(buffer) = static_cast<GstClockTime>(pts);
        GST_BUFFER_DURATION(buffer) = static_cast<GstClockTime>(duration);
        if (mark == "discont") GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
        std::printf("flow %s\n", gst_flow_get_name(gst_harness_push(harness_, buffer)));
    }

    void event(std::string const& verb, std::istringstream& words) {
        gint64 start = 0, duration = 0;
        if (verb == "segment") {
            GstSegment segment;
            gst_segment_init(&segment, GST_FORMAT_TIME);
            words >> segment.rate >> segment.start;
            gst_harness_push_event(harness_, gst_event_new_segment(&segment));
        } else if (verb == "gap") {
            words >> start >> duration;
            gst_harness_push_event(
                harness_, gst_event_new_gap(static_cast<GstClockTime>(start), static_cast<GstClockTime>(duration)));
        } else if (verb == "eos") {
            gst_harness_push_event(harness_, gst_event_new_eos());
        } else if (verb == "flush") {
            gst_harness_push_event(harness_, gst_event_new_flush_start());
            gst_harness_push_event(harness_, gst_event_new_flush_stop(TRUE));
        } else if (verb == "stream-start") {
            gst_harness_push_event(harness_, gst_event_new_stream_start("another"));
        } else {
            std::printf("unknown %s\n", verb.c_str());
        }
    }

    // The upstream element answers with these three; what comes out at the other end.
    void latency(std::istringstream& words) {
        upstream_ = {};
        words >> upstream_.live >> upstream_.least >> upstream_.most;
        gulong const probe =
            gst_pad_add_probe(harness_->srcpad, GST_PAD_PROBE_TYPE_QUERY_UPSTREAM, answer, this, nullptr);
        GstQuery* const query = gst_query_new_latency();
        gboolean live = FALSE;
        GstClockTime least = 0, most = 0;
        if (gst_pad_peer_query(harness_->sinkpad, query)) gst_query_parse_latency(query, &live, &least, &most);
        std::printf("latency %d %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n", live, static_cast<gint64>(least),
                    static_cast<gint64>(most));
        gst_query_unref(query);
        gst_pad_remove_probe(harness_->srcpad, probe);
    }

    static GstPadProbeReturn answer(GstPad*, GstPadProbeInfo* info, gpointer self) {
        GstQuery* const query = gst_pad_probe_info_get_query(info);
        if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY) return GST_PAD_PROBE_OK;
        auto const& upstream = static_cast<Harness*>(self)->upstream_;
        gst_query_set_latency(query, upstream.live, static_cast<GstClockTime>(upstream.least),
                              static_cast<GstClockTime>(upstream.most));
        return GST_PAD_PROBE_HANDLED;
    }

    // What the element takes, given what the one after it wants.
    void takes() {
        GstCaps* const caps = gst_pad_peer_query_caps(harness_->srcpad, nullptr);
        gchar* const text = gst_caps_to_string(caps);
        std::printf("takes %s\n", text);
        g_free(text);
        gst_caps_unref(caps);
    }

    // As many buffers as an element before it is asked to have.
    void buffers() {
        GstCaps* const caps = gst_pad_get_current_caps(harness_->srcpad);
        GstQuery* const query = gst_query_new_allocation(caps, TRUE);
        guint least = 0;
        if (gst_pad_peer_query(harness_->srcpad, query))
            gst_query_parse_nth_allocation_pool(query, 0, nullptr, nullptr, &least, nullptr);
        std::printf("buffers %u\n", least);
        gst_query_unref(query);
        gst_caps_unref(caps);
    }

    void get(std::string const& name) {
        guint64 value = 0;
        g_object_get(element_, name.c_str(), &value, nullptr);
        std::printf("value %" G_GUINT64_FORMAT "\n", value);
    }

    void report_messages() {
        while (GstMessage* const message = gst_bus_pop(bus_)) {
            if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
                GError* error = nullptr;
                gst_message_parse_error(message, &error, nullptr);
                std::printf("error %s %d %s\n", g_quark_to_string(error->domain), error->code, error->message);
                g_error_free(error);
            } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_LATENCY) {
                std::printf("message latency\n");
            }
            gst_message_unref(message);
        }
    }

    struct Latency {
        bool live = false;
        gint64 least = 0, most = -1;
    };

    GstElement* element_;
    GstBus* bus_;
    GstHarness* harness_ = nullptr;
    guint most_buffers_ = 0;
    Latency upstream_;
};

}  // namespace

int main(int argc, char** argv) {
    gst_init(&argc, &argv);
    {
        Harness harness;
        for (std::string line; std::getline(std::cin, line);) harness.obey(line);
    }
    gst_deinit();
    return 0;
}

/* libtweenrt: new frames between the frames of a video, from a network exported or built by tweenrt. Plain C.

   Life of an interpolator:

       tweenrt_params params;
       tweenrt_default_params(&params, sizeof params);
       params.graph = "rife-4.25.onnx";
       tweenrt_interpolator* handle = NULL;
       tweenrt_create(&params, &handle);
       tweenrt_set_format(handle, &format);             once, and again when the video's size or format changes
       tweenrt_prepare(handle, 0, &frame0);             once for every frame
       tweenrt_prepare(handle, 1, &frame1);
       tweenrt_draw(handle, &window, times, outputs, count);   as often as wanted
       tweenrt_destroy(&handle);

   Frames lie in numbered slots, so that what a network computes of one frame is computed once: prepare the next frame
   into the slot that is no longer needed, and draw between the two.

   Threads: a handle serves one call at a time. A call that meets another one on the same handle returns
   TWEENRT_STATUS_BUSY and does nothing. Handles are independent of each other. There is no global state but
   tweenrt_last_error(), which every thread has for itself. No C++ exception leaves the library.

   Memory: everything is allocated by tweenrt_create() and tweenrt_set_format(), nothing by tweenrt_prepare() and
   tweenrt_draw(); of what a backend's own library allocates, see docs/embed-in-cpp.md.

   Stability: functions, structures and numbers of one TWEENRT_ABI_VERSION stay as they are; structures that begin with
   struct_size may grow at their end.
*/
#ifndef TWEENRT_TWEENRT_H
#define TWEENRT_TWEENRT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(TWEENRT_STATIC)
#define TWEENRT_EXPORT
#else
#define TWEENRT_EXPORT __attribute__((visibility("default")))
#endif

#define TWEENRT_ABI_VERSION 1

/* What came of a call; other than OK, tweenrt_last_error() says more. */
typedef int32_t tweenrt_status;
enum {
    TWEENRT_STATUS_OK = 0,
    TWEENRT_STATUS_INVALID_ARGUMENT = 1, /* a null pointer, a size or number outside of what the call takes */
    TWEENRT_STATUS_INVALID_HANDLE = 2,   /* NULL, or no handle of this library */
    TWEENRT_STATUS_CLOSED = 3,           /* tweenrt_close() was called before */
    TWEENRT_STATUS_BUSY = 4,             /* another thread is inside of a call on this handle */
    TWEENRT_STATUS_NOT_READY = 5,        /* no format was set, or a slot holds no frame */
    TWEENRT_STATUS_NOT_FOUND = 6,        /* a file is missing or cannot be read */
    TWEENRT_STATUS_NOT_OURS = 7,         /* a graph or plan that tweenrt did not write */
    TWEENRT_STATUS_DAMAGED = 8,          /* a file that is cut off or changed */
    TWEENRT_STATUS_WRONG_KIND = 9,       /* half a network where a whole one is wanted, or halves that do not belong */
    TWEENRT_STATUS_UNSUPPORTED = 10,     /* this network, size or memory cannot be used with this backend */
    TWEENRT_STATUS_MISSING_LIBRARY = 11, /* the backend's module, its library or the plugin library is not there */
    TWEENRT_STATUS_NO_DEVICE = 12,       /* no GPU that the backend can use */
    TWEENRT_STATUS_MISMATCH = 13,        /* an engine for another TensorRT, GPU or plugin library */
    TWEENRT_STATUS_BACKEND_FAILED = 14,  /* the backend's library reported an error */
    TWEENRT_STATUS_OUT_OF_MEMORY = 15,
    TWEENRT_STATUS_INTERNAL = 16, /* a fault of this library */
};

typedef int32_t tweenrt_backend;
enum {
    TWEENRT_BACKEND_AUTO = 0, /* of an engine, the one it was built for; of a graph, ONNX Runtime */
    TWEENRT_BACKEND_ONNXRUNTIME = 1,
    TWEENRT_BACKEND_TENSORRT = 2,
    TWEENRT_BACKEND_TENSORRT_RTX = 3,
};

typedef int32_t tweenrt_log_level;
enum {
    TWEENRT_LOG_ERROR = 0,
    TWEENRT_LOG_WARNING = 1,
    TWEENRT_LOG_INFO = 2,
    TWEENRT_LOG_VERBOSE = 3,
};

/* Told what happens; `text` is UTF-8 and valid during the call. It is called by the thread that is inside of a call,
   and, where a backend's library has threads of its own, by those. It must not call this library. */
typedef void (*tweenrt_log_callback)(void* user, tweenrt_log_level level, char const* text);

typedef struct tweenrt_interpolator tweenrt_interpolator;

/* Filled by tweenrt_default_params(). Texts are UTF-8, copied by tweenrt_create(). */
typedef struct tweenrt_params {
    size_t struct_size;
    char const* graph;       /* an ONNX file, an engine, or the folder of a network in two files; must be set */
    tweenrt_backend backend; /* AUTO */
    int32_t threads;         /* CPU threads for one run; 0 (default) leaves the choice to the backend */
    int32_t gpu;             /* number of the GPU; 0 */
    int32_t slots;           /* frames that can be held at once, 2..64; 0 (default): as many as the network looks at */
    int32_t iterations;      /* runs for a frame, 1..16, for networks that refine an estimate; 2, others ignore it */
    int32_t midpoint_levels; /* halvings, 1..10, for networks that draw midpoints only: t in 1/2^levels steps; 3 */
    void* stream;            /* a cudaStream_t on which all GPU work is queued; NULL (default): one of our own */
    char const* backend_library; /* file of the backend's library (libonnxruntime.so.1, libnvinfer.so.10); NULL
                                    (default): the usual names, as the dynamic linker finds them */
    char const* plugin_library; /* file of libtweenrt_plugins.so; NULL (default): beside libtweenrt.so, else the name */
    char const* module_folder;  /* where libtweenrt_<backend>.so lies; NULL (default): beside libtweenrt.so */
    tweenrt_log_callback log;   /* NULL (default): nobody is told */
    void* log_user;             /* handed to `log` */
} tweenrt_params;

typedef int32_t tweenrt_pixels;
enum {
    TWEENRT_PIXELS_RGB8 = 0,    /* one plane, 3 bytes a pixel: R, G, B */
    TWEENRT_PIXELS_BGR8 = 1,    /* B, G, R */
    TWEENRT_PIXELS_RGBA8 = 2,   /* 4 bytes a pixel; A is ignored in frames that come in, 255 in drawn ones */
    TWEENRT_PIXELS_BGRA8 = 3,   /* B, G, R, A */
    TWEENRT_PIXELS_RGB_F32 = 4, /* three planes R, G, B of 32-bit floats, 0..1 */
    TWEENRT_PIXELS_RGB_F16 = 5, /* three planes R, G, B of IEEE 16-bit floats, 0..1 */
    TWEENRT_PIXELS_NV12 = 6, /* two planes: Y, one byte a pixel; Cb and Cr interleaved, half as many both ways (an odd
                                side rounds up) */
};

/* Only looked at for NV12. The equations are in docs/embed-in-cpp.md. */
typedef int32_t tweenrt_matrix;
enum {
    TWEENRT_MATRIX_BT601 = 0,
    TWEENRT_MATRIX_BT709 = 1,
    TWEENRT_MATRIX_BT2020 = 2, /* non-constant luminance */
};

typedef int32_t tweenrt_range;
enum {
    TWEENRT_RANGE_LIMITED = 0, /* Y 16..235, Cb and Cr 16..240 */
    TWEENRT_RANGE_FULL = 1,    /* 0..255 */
};

/* Of all frames that come in and are drawn. */
typedef struct tweenrt_format {
    int32_t width; /* in pixels, 1..32768 */
    int32_t height;
    tweenrt_pixels pixels;
    tweenrt_matrix matrix;
    tweenrt_range range;
} tweenrt_format;

typedef int32_t tweenrt_memory;
enum {
    TWEENRT_MEMORY_HOST = 0,   /* ordinary memory */
    TWEENRT_MEMORY_DEVICE = 1, /* memory of the GPU that the backend runs on */
};

/* One frame in the caller's memory: as many planes as the pixels have. */
typedef struct tweenrt_frame {
    void* planes[3];    /* the first pixel of every plane; frames that come in are only read */
    int64_t pitches[3]; /* bytes from a row to the next, at least the row's own; 0 stands for just that */
    tweenrt_memory memory;
} tweenrt_frame;

/* The slots to draw between. */
typedef struct tweenrt_window {
    int32_t first;  /* slot of the earlier frame */
    int32_t second; /* slot of the later frame */
    int32_t before; /* for networks that look at four frames: of the frame before `first`; -1: there is none, and
                       `first` stands for it. Others ignore it. */
    int32_t after;  /* of the frame after `second`, likewise */
} tweenrt_window;

typedef int32_t tweenrt_time;
enum {
    TWEENRT_TIME_ANY = 0,      /* any moment */
    TWEENRT_TIME_MIDPOINT = 1, /* halves, quarters …, each drawn from drawn frames; see midpoint_levels */
};

/* Of the network. Set struct_size before tweenrt_describe(). Texts are valid until the handle is closed. */
typedef struct tweenrt_info {
    size_t struct_size;
    char const* model;           /* such as "rife-4.25" */
    char const* precision;       /* "fp32", "fp16", "int8" */
    char const* backend;         /* "onnxruntime", "tensorrt", "tensorrt-rtx" */
    char const* backend_version; /* of its library, such as "1.21.0" */
    tweenrt_time time;
    int32_t frames;          /* that the network looks at, 2 or 4 */
    int32_t slots;           /* numbered from 0 */
    int32_t reuses_features; /* 1 where a frame or a pair is encoded once, for all that is drawn from it */
    int32_t takes_device;    /* 1 where frames may lie in GPU memory */
    int32_t divisor;         /* the network's sides are multiples of it; frames are padded and cropped */
} tweenrt_info;

/* Counted since tweenrt_create(). Set struct_size before tweenrt_statistics(). */
typedef struct tweenrt_stats {
    size_t struct_size;
    uint64_t prepared;     /* frames that came in */
    uint64_t drawn;        /* frames that were handed out */
    uint64_t first_runs;   /* runs of an encoder or a flow network, which come before drawing; 0 for a whole network */
    uint64_t drawing_runs; /* runs of the network or half that draws */
    uint64_t tensor_bytes; /* held for frames, features and results, where the backend computes */
} tweenrt_stats;

/* (major << 16) | (minor << 8) | patch of the library that is loaded, and the same as text. */
TWEENRT_EXPORT uint32_t tweenrt_version(void);
TWEENRT_EXPORT char const* tweenrt_version_text(void);

/* TWEENRT_ABI_VERSION of the library that is loaded. */
TWEENRT_EXPORT uint32_t tweenrt_abi_version(void);

/* What went wrong in the last call of this thread that did not return OK; empty if none did. Valid until this thread's
   next call. Never NULL. */
TWEENRT_EXPORT char const* tweenrt_last_error(void);

/* A word or two for a status, such as "busy". Never NULL. */
TWEENRT_EXPORT char const* tweenrt_status_text(tweenrt_status status);

/* Sets every member, struct_size to `struct_size`, which is sizeof(tweenrt_params) where the caller was compiled. */
TWEENRT_EXPORT tweenrt_status tweenrt_default_params(tweenrt_params* params, size_t struct_size);

/* Loads the backend and the network. *handle is NULL where that fails. */
TWEENRT_EXPORT tweenrt_status tweenrt_create(tweenrt_params const* params, tweenrt_interpolator** handle);

/* Frees the network and all memory. Every later call on the handle returns TWEENRT_STATUS_CLOSED, but
   tweenrt_destroy(). Waits for queued GPU work. */
TWEENRT_EXPORT tweenrt_status tweenrt_close(tweenrt_interpolator* handle);

/* Closes, frees the handle itself and sets *handle to NULL. Nothing happens where *handle is NULL. Copies of the handle
   must not be used afterwards. */
TWEENRT_EXPORT tweenrt_status tweenrt_destroy(tweenrt_interpolator** handle);

TWEENRT_EXPORT tweenrt_status tweenrt_describe(tweenrt_interpolator* handle, tweenrt_info* info);

/* Allocates all that frames of this format need. All slots are empty afterwards. */
TWEENRT_EXPORT tweenrt_status tweenrt_set_format(tweenrt_interpolator* handle, tweenrt_format const* format);

/* Puts a frame into a slot. A frame in host memory may be changed once this returns. One in GPU memory must stay as it
   is until the work that is queued on the stream by then is done. */
TWEENRT_EXPORT tweenrt_status tweenrt_prepare(tweenrt_interpolator* handle, int32_t slot, tweenrt_frame const* frame);

/* Draws outputs[k] at times[k], each strictly between 0 (the first frame) and 1 (the second), in any order. All outputs
   lie in one kind of memory. Those in host memory are complete once this returns; for those in GPU memory the work is
   queued on the stream. */
TWEENRT_EXPORT tweenrt_status tweenrt_draw(tweenrt_interpolator* handle, tweenrt_window const* window,
                                           double const* times, tweenrt_frame const* outputs, int32_t count);

/* Waits until all queued GPU work is done. Where there is none, nothing happens. */
TWEENRT_EXPORT tweenrt_status tweenrt_synchronize(tweenrt_interpolator* handle);

TWEENRT_EXPORT tweenrt_status tweenrt_statistics(tweenrt_interpolator* handle, tweenrt_stats* stats);

#ifdef __cplusplus
}
#endif

#endif /* TWEENRT_TWEENRT_H */

/* What the plugin library offers beside its TensorRT plugins. Plain C, so that Python (ctypes), C and C++ can call it.
 */
#ifndef TWEENRT_PLUGINS_H
#define TWEENRT_PLUGINS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TWEENRT_API __attribute__((visibility("default")))

/* Why a plugin or a function of this library last refused something in this thread; empty if none did. Valid until the
   next refusal in this thread. */
TWEENRT_API char const* tweenrt_plugins_last_error(void);

/* How the refined tensor lies in memory. */
enum {
    TWEENRT_FLOAT = 0,     /* FP32 NCHW */
    TWEENRT_HALF = 1,      /* FP16 NCHW */
    TWEENRT_HALF_HWC8 = 2, /* FP16 NHWC, which for eight channels is 16 bytes a pixel; TensorRT calls it kHWC8 */
};

/* What the network saw between the frame and the edge of the padded frame. */
enum {
    TWEENRT_FILL_REPLICATE = 0, /* the nearest pixel of the frame */
    TWEENRT_FILL_ZEROS = 1,     /* black */
};

/* A merge of two frames into a new one. Pointers are to device memory. Frames are RGB, three bytes a pixel, rows
   `pitch` bytes apart (at least 3 * width), images height * pitch bytes apart (at most 2^31 - 1). */
typedef struct tweenrt_merge {
    uint8_t const* frame0; /* the earlier frames, [batch, height, width, 3] */
    uint8_t const* frame1; /* the later frames */
    void const* refined;   /* [batch, 8, padded_height, padded_width]: flow in pixels from the new frame into frame0 (x,
                              y) and frame1 (x, y), weight of frame0 before the sigmoid, residual (R, G, B, of 1) */
    uint8_t* out;          /* the new frames, like frame0; must not overlap the inputs */
    size_t pitch0, pitch1, pitch_out;
    int32_t batch, height, width;
    int32_t padded_height, padded_width; /* of the frames as the network saw them */
    int32_t top, left;                   /* where in the padded frame the real one begins */
    int32_t refined_format;              /* TWEENRT_FLOAT, TWEENRT_HALF or TWEENRT_HALF_HWC8 (aligned to 16 bytes) */
    int32_t fill;                        /* TWEENRT_FILL_REPLICATE or TWEENRT_FILL_ZEROS */
} tweenrt_merge;

/* out = clamp(m * warp(frame0) + (1 - m) * warp(frame1) + residual), m = sigmoid(mask), rounded to the nearest byte.
   Queues the work on `stream` (a cudaStream_t; NULL is the default stream) without synchronising. Returns 0 or a
   cudaError_t: 1 (cudaErrorInvalidValue) where the request is not as described above, and tweenrt_plugins_last_error()
   says why. */
TWEENRT_API int tweenrt_merge_frames(tweenrt_merge const* merge, void* stream);

/* A picture as video decoders and encoders have it and the same in RGB, one byte a value, rows `pitch` bytes apart.
   Pointers are to device memory. */
typedef struct tweenrt_nv12 {
    uint8_t* luma;   /* [height, width] */
    uint8_t* chroma; /* [height / 2, width / 2, 2], Cb and Cr; a sample lies in the middle of its four pixels */
    uint8_t* rgb;    /* [height, width, 3] */
    size_t pitch_luma, pitch_chroma, pitch_rgb;
    int32_t height, width; /* even */
    float matrix[9];       /* rows: what the three outputs take of the three inputs, each 0..255 */
    float offset[3];       /* added to the outputs */
} tweenrt_nv12;

/* (R, G, B) = matrix * (Y, Cb, Cr) + offset, with Cb and Cr brought to every pixel by a cubic (a = -0.6), and the way
   back, (Y, Cb, Cr) = matrix * (R, G, B) + offset; rounded to the nearest byte. Queue and return as
   tweenrt_merge_frames() does. */
TWEENRT_API int tweenrt_nv12_to_rgb(tweenrt_nv12 const* picture, void* stream);
TWEENRT_API int tweenrt_rgb_to_nv12(tweenrt_nv12 const* picture, void* stream);

/* Sums of every colour over blocks of step x step pixels of [height, width, 3] bytes: [height / step, width / step, 3].
   Rows and columns that fill no block are left out. Queues and returns as tweenrt_merge_frames() does. */
TWEENRT_API int tweenrt_sum_blocks(uint8_t const* rgb, size_t pitch, int32_t height, int32_t width, int32_t step,
                                   uint32_t* sums, void* stream);

#ifdef __cplusplus
}
#endif

#endif /* TWEENRT_PLUGINS_H */

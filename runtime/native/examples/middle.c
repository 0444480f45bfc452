/* Draws one frame between two, from and into files of raw RGB (3 bytes a pixel, no header):

       tweenrt-middle GRAPH WIDTH HEIGHT FIRST SECOND TIME OUTPUT

   GRAPH is an ONNX file, an engine, or the folder of a network in two files; TIME lies between 0 and 1. The environment
   variable TWEENRT_BACKEND_LIBRARY names the backend's library, such as libonnxruntime.so.1, where it is not installed.
*/
#include <stdio.h>
#include <stdlib.h>
#include <tweenrt/tweenrt.h>

/* Prints what the last call said, unless it went well. */
static int failed(tweenrt_status status) {
    if (status != TWEENRT_STATUS_OK)
        fprintf(stderr, "tweenrt-middle: %s: %s\n", tweenrt_status_text(status), tweenrt_last_error());
    return status != TWEENRT_STATUS_OK;
}

static unsigned char* read_frame(char const* path, size_t bytes) {
    unsigned char* frame = malloc(bytes);
    FILE* file = fopen(path, "rb");
    size_t const read = file != NULL && frame != NULL ? fread(frame, 1, bytes, file) : 0;
    if (file != NULL) fclose(file);
    if (read == bytes) return frame;
    fprintf(stderr, "tweenrt-middle: %s: expected %zu bytes of raw RGB, got %zu\n", path, bytes, read);
    free(frame);
    return NULL;
}

static int write_frame(char const* path, unsigned char const* frame, size_t bytes) {
    FILE* file = fopen(path, "wb");
    size_t const written = file != NULL ? fwrite(frame, 1, bytes, file) : 0;
    int const closed = file != NULL && fclose(file) == 0;
    if (written == bytes && closed) return 0;
    fprintf(stderr, "tweenrt-middle: %s: cannot write it\n", path);
    return 1;
}

static int draw(tweenrt_interpolator* handle, tweenrt_format const* format, void* first, void* second, double time,
                void* output) {
    tweenrt_frame const frames[2] = {{{first}, {0}, TWEENRT_MEMORY_HOST}, {{second}, {0}, TWEENRT_MEMORY_HOST}};
    tweenrt_frame const drawn = {{output}, {0}, TWEENRT_MEMORY_HOST};
    tweenrt_window const window = {.first = 0, .second = 1, .before = -1, .after = -1};
    return failed(tweenrt_set_format(handle, format)) || failed(tweenrt_prepare(handle, 0, &frames[0])) ||
           failed(tweenrt_prepare(handle, 1, &frames[1])) || failed(tweenrt_draw(handle, &window, &time, &drawn, 1));
}

int main(int count, char** words) {
    if (count != 8) {
        fprintf(stderr, "usage: tweenrt-middle GRAPH WIDTH HEIGHT FIRST SECOND TIME OUTPUT\n");
        return 2;
    }
    tweenrt_params params;
    tweenrt_interpolator* handle = NULL;
    if (failed(tweenrt_default_params(&params, sizeof params))) return 1;
    params.graph = words[1];
    params.backend_library = getenv("TWEENRT_BACKEND_LIBRARY");
    params.threads = 1;
    if (failed(tweenrt_create(&params, &handle))) return 1;

    tweenrt_format const format = {.width = atoi(words[2]), .height = atoi(words[3]), .pixels = TWEENRT_PIXELS_RGB8};
    size_t const bytes = (size_t)3 * format.width * format.height;
    unsigned char* first = read_frame(words[4], bytes);
    unsigned char* second = read_frame(words[5], bytes);
    unsigned char* output = malloc(bytes);
    int wrong = first == NULL || second == NULL || output == NULL ||
                draw(handle, &format, first, second, atof(words[6]), output) || write_frame(words[7], output, bytes);
    free(output);
    free(second);
    free(first);
    tweenrt_destroy(&handle);
    return wrong;
}

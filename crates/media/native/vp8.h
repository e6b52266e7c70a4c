/* VP8 by libvpx behind a few functions with plain arguments, so that the layout of libvpx's structures is taken
 * from the headers of the version that is linked and never repeated by hand. */
#ifndef GREENROOM_VP8_H
#define GREENROOM_VP8_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t width;
    uint32_t height;
    uint32_t bitrate_kbps;
    uint32_t threads;
    int32_t cpu_used;
    uint32_t screen_content_mode;
} greenroom_vp8_settings;

typedef struct {
    const uint8_t *y;
    const uint8_t *u;
    const uint8_t *v;
    int32_t stride_y;
    int32_t stride_u;
    int32_t stride_v;
    uint32_t width;
    uint32_t height;
} greenroom_vp8_picture;

typedef struct greenroom_vp8_encoder greenroom_vp8_encoder;
typedef struct greenroom_vp8_decoder greenroom_vp8_decoder;

/* Every int is 0 or a vpx_codec_err_t. */
int greenroom_vp8_encoder_new(const greenroom_vp8_settings *settings, greenroom_vp8_encoder **out);
void greenroom_vp8_encoder_free(greenroom_vp8_encoder *encoder);
int greenroom_vp8_encoder_set_bitrate(greenroom_vp8_encoder *encoder, uint32_t bitrate_kbps);
/* pts and duration in units of 1/90000 s. The packet is valid until the next call; length 0: the frame was dropped. */
int greenroom_vp8_encode(greenroom_vp8_encoder *encoder, const greenroom_vp8_picture *picture, int64_t pts, uint64_t duration,
                         int force_key_frame, const uint8_t **data, size_t *length, int *key_frame);

int greenroom_vp8_decoder_new(uint32_t threads, greenroom_vp8_decoder **out);
void greenroom_vp8_decoder_free(greenroom_vp8_decoder *decoder);
/* has_picture 0: nothing to show. The picture is valid until the next call; corrupted: decoded from damaged data. */
int greenroom_vp8_decode(greenroom_vp8_decoder *decoder, const uint8_t *data, size_t length, greenroom_vp8_picture *picture,
                         int *has_picture, int *corrupted);

const char *greenroom_vp8_error_text(int code);

#endif

#include "vp8.h"

#include <stdlib.h>
#include <string.h>
#include <vpx/vp8cx.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>
#include <vpx/vpx_encoder.h>

struct greenroom_vp8_encoder {
    vpx_codec_ctx_t context;
    vpx_codec_enc_cfg_t configuration;
};

struct greenroom_vp8_decoder {
    vpx_codec_ctx_t context;
};

static void fill_configuration(vpx_codec_enc_cfg_t *cfg, const greenroom_vp8_settings *settings) {
    cfg->g_w = settings->width;
    cfg->g_h = settings->height;
    cfg->g_threads = settings->threads;
    cfg->g_timebase.num = 1;
    cfg->g_timebase.den = 90000;
    /* A lost frame must not spoil the entropy tables of the following ones. */
    cfg->g_error_resilient = VPX_ERROR_RESILIENT_DEFAULT;
    cfg->g_pass = VPX_RC_ONE_PASS;
    cfg->g_lag_in_frames = 0;
    cfg->rc_end_usage = VPX_CBR;
    cfg->rc_target_bitrate = settings->bitrate_kbps;
    /* Percent of the buffer below which frames are dropped. */
    cfg->rc_dropframe_thresh = 30;
    cfg->rc_resize_allowed = 0;
    cfg->rc_min_quantizer = settings->screen_content_mode ? 8 : 2;
    cfg->rc_max_quantizer = 63;
    cfg->rc_undershoot_pct = 100;
    cfg->rc_overshoot_pct = 15;
    /* Milliseconds of stream at the target rate: short, for a live link. */
    cfg->rc_buf_initial_sz = 300;
    cfg->rc_buf_optimal_sz = 400;
    cfg->rc_buf_sz = 600;
    cfg->kf_mode = VPX_KF_DISABLED;
}

static int apply_controls(vpx_codec_ctx_t *context, const greenroom_vp8_settings *settings) {
    /* Bound a key frame to some frames' worth of the rate (percent of a frame), so that it does not stall the link. */
    const unsigned key_frame_limit_percent = 900;
    const unsigned static_threshold = settings->screen_content_mode ? 100 : 1;
    const int token_partitions = settings->threads > 1 ? VP8_ONE_TOKENPARTITION + 1 : VP8_ONE_TOKENPARTITION;
    int error = vpx_codec_control(context, VP8E_SET_CPUUSED, settings->cpu_used);
    error = error ? error : (int)vpx_codec_control(context, VP8E_SET_STATIC_THRESHOLD, static_threshold);
    error = error ? error : (int)vpx_codec_control(context, VP8E_SET_TOKEN_PARTITIONS, token_partitions);
    error = error ? error : (int)vpx_codec_control(context, VP8E_SET_NOISE_SENSITIVITY, 0u);
    error = error ? error : (int)vpx_codec_control(context, VP8E_SET_MAX_INTRA_BITRATE_PCT, key_frame_limit_percent);
    return error ? error : (int)vpx_codec_control(context, VP8E_SET_SCREEN_CONTENT_MODE, settings->screen_content_mode);
}

int greenroom_vp8_encoder_new(const greenroom_vp8_settings *settings, greenroom_vp8_encoder **out) {
    greenroom_vp8_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL) return VPX_CODEC_MEM_ERROR;
    int error = vpx_codec_enc_config_default(vpx_codec_vp8_cx(), &encoder->configuration, 0);
    if (!error) {
        fill_configuration(&encoder->configuration, settings);
        error = vpx_codec_enc_init(&encoder->context, vpx_codec_vp8_cx(), &encoder->configuration, 0);
    }
    if (error) {
        free(encoder);
        return error;
    }
    error = apply_controls(&encoder->context, settings);
    if (error) {
        greenroom_vp8_encoder_free(encoder);
        return error;
    }
    *out = encoder;
    return 0;
}

void greenroom_vp8_encoder_free(greenroom_vp8_encoder *encoder) {
    vpx_codec_destroy(&encoder->context);
    free(encoder);
}

int greenroom_vp8_encoder_set_bitrate(greenroom_vp8_encoder *encoder, uint32_t bitrate_kbps) {
    encoder->configuration.rc_target_bitrate = bitrate_kbps;
    return vpx_codec_enc_config_set(&encoder->context, &encoder->configuration);
}

int greenroom_vp8_encode(greenroom_vp8_encoder *encoder, const greenroom_vp8_picture *picture, int64_t pts, uint64_t duration,
                         int force_key_frame, const uint8_t **data, size_t *length, int *key_frame) {
    vpx_image_t image;
    memset(&image, 0, sizeof image);
    /* The wrapped pointer is replaced below: planes have their own addresses and strides. */
    if (vpx_img_wrap(&image, VPX_IMG_FMT_I420, picture->width, picture->height, 1, (unsigned char *)picture->y) == NULL)
        return VPX_CODEC_INVALID_PARAM;
    image.planes[VPX_PLANE_U] = (unsigned char *)picture->u;
    image.planes[VPX_PLANE_V] = (unsigned char *)picture->v;
    image.stride[VPX_PLANE_Y] = picture->stride_y;
    image.stride[VPX_PLANE_U] = picture->stride_u;
    image.stride[VPX_PLANE_V] = picture->stride_v;
    *length = 0;
    const vpx_enc_frame_flags_t flags = force_key_frame ? VPX_EFLAG_FORCE_KF : 0;
    const int error = vpx_codec_encode(&encoder->context, &image, pts, duration, flags, VPX_DL_REALTIME);
    if (error) return error;
    vpx_codec_iter_t position = NULL;
    const vpx_codec_cx_pkt_t *packet;
    while ((packet = vpx_codec_get_cx_data(&encoder->context, &position)) != NULL) {
        if (packet->kind != VPX_CODEC_CX_FRAME_PKT) continue;
        *data = packet->data.frame.buf;
        *length = packet->data.frame.sz;
        *key_frame = (packet->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
    }
    return 0;
}

int greenroom_vp8_decoder_new(uint32_t threads, greenroom_vp8_decoder **out) {
    greenroom_vp8_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL) return VPX_CODEC_MEM_ERROR;
    const vpx_codec_dec_cfg_t configuration = {.threads = threads};
    const int error = vpx_codec_dec_init(&decoder->context, vpx_codec_vp8_dx(), &configuration, 0);
    if (error) {
        free(decoder);
        return error;
    }
    *out = decoder;
    return 0;
}

void greenroom_vp8_decoder_free(greenroom_vp8_decoder *decoder) {
    vpx_codec_destroy(&decoder->context);
    free(decoder);
}

int greenroom_vp8_decode(greenroom_vp8_decoder *decoder, const uint8_t *data, size_t length, greenroom_vp8_picture *picture,
                         int *has_picture, int *corrupted) {
    *has_picture = 0;
    *corrupted = 0;
    const int error = vpx_codec_decode(&decoder->context, data, (unsigned)length, NULL, 0);
    if (error) return error;
    vpx_codec_iter_t position = NULL;
    const vpx_image_t *image = vpx_codec_get_frame(&decoder->context, &position);
    if (image == NULL) return 0;
    if (image->fmt != VPX_IMG_FMT_I420) return VPX_CODEC_UNSUP_BITSTREAM;
    *picture = (greenroom_vp8_picture){
        .y = image->planes[VPX_PLANE_Y],
        .u = image->planes[VPX_PLANE_U],
        .v = image->planes[VPX_PLANE_V],
        .stride_y = image->stride[VPX_PLANE_Y],
        .stride_u = image->stride[VPX_PLANE_U],
        .stride_v = image->stride[VPX_PLANE_V],
        .width = image->d_w,
        .height = image->d_h,
    };
    *has_picture = 1;
    /* Not every build knows this control; without it nothing is reported as damaged. */
    if (vpx_codec_control(&decoder->context, VP8D_GET_FRAME_CORRUPTED, corrupted)) *corrupted = 0;
    return 0;
}

const char *greenroom_vp8_error_text(int code) {
    return vpx_codec_err_to_string((vpx_codec_err_t)code);
}

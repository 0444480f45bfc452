"""Pictures of video decoders and encoders (NV12) to RGB and back on the GPU, and the sums for thumbnails."""

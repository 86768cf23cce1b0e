"""The streaming engine: RTMP from glasses in, HLS and DASH for viewers out."""

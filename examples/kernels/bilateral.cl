// Bilateral filter (Tomasi and Manduchi, 1998) of a depth frame: the mean of the neighbours within `radius` pixels,
// weighted by how near they are in the image and in depth, so that noise goes and edges stay. Pixels without a reading (0)
// weigh nothing and stay without one. Depth comes in units of the camera and leaves in metres.
kernel void bilateral(global const ushort *depth, global float *smooth, int2 size, float metres_per_unit, int radius,
                      float sigma_pixels, float sigma_metres)
{
    const int x = get_global_id(0);
    const int y = get_global_id(1);
    const float centre = depth[y * size.x + x] * metres_per_unit;
    const float by_pixels = -0.5f / (sigma_pixels * sigma_pixels);
    const float by_metres = -0.5f / (sigma_metres * sigma_metres);
    float sum = 0.0f;
    float weights = 0.0f;
    if (centre > 0.0f) {
        for (int v = max(y - radius, 0); v <= min(y + radius, size.y - 1); ++v) {
            for (int u = max(x - radius, 0); u <= min(x + radius, size.x - 1); ++u) {
                const float value = depth[v * size.x + u] * metres_per_unit;
                const float apart = value - centre;
                const float pixels = (float)((u - x) * (u - x) + (v - y) * (v - y));
                const float weight = value > 0.0f ? exp(pixels * by_pixels + apart * apart * by_metres) : 0.0f;
                sum += weight * value;
                weights += weight;
            }
        }
    }
    smooth[y * size.x + x] = weights > 0.0f ? sum / weights : 0.0f;
}

// Back-projection of a depth frame through a pinhole lens (focal lengths x and y, principal point x and y, in pixels): a
// point in metres for every pixel, all zero where there is no reading.
kernel void backproject(global const float *depth, global float4 *cloud, float4 lens)
{
    const int x = get_global_id(0);
    const int y = get_global_id(1);
    const int at = y * get_global_size(0) + x;
    const float z = depth[at];
    cloud[at] = z > 0.0f ? (float4)((x - lens.z) * z / lens.x, (y - lens.w) * z / lens.y, z, 1.0f) : (float4)(0.0f);
}

// From filtered depth to a point cloud in the user's frame, row by row as the camera sees it.
//
// A point is (x, y, z, d): its place in the user's frame in metres, and d, its distance along the axis of the camera, by
// which a later ptask knows how large a pixel is there. All four are 0 where there is no reading. The pose is the first
// three rows of the matrix that takes the camera's frame (x right, y down, z forward) to the user's.
kernel void transform(global const float *smooth, global float4 *cloud, float4 lens, float16 pose)
{
    const int x = get_global_id(0);
    const int y = get_global_id(1);
    const int at = y * get_global_size(0) + x;
    const float d = smooth[at];
    const float4 seen = (float4)((x - lens.z) * d / lens.x, (y - lens.w) * d / lens.y, d, 1.0f);
    cloud[at] = d > 0.0f ? (float4)(dot(pose.s0123, seen), dot(pose.s4567, seen), dot(pose.s89ab, seen), d)
                         : (float4)(0.0f);
}

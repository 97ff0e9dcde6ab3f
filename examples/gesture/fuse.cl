// Two clouds to one, in the rows and columns of the first camera: where it has no reading, the second one may have. Its
// points are projected into the first camera's picture; the nearest to it in each pixel counts, as it would be seen.

#define STEPS_PER_M 100000.0f  // distances that are compared by atomics: 0.01 mm
#define NOTHING UINT_MAX
#define RIM_PIXELS 12          // how far from a hole its rim is looked for
#define BEHIND_M 0.030f        // what lies farther behind the rim does not belong into the hole

// Leaves the cloud as it is and hands it on; it says only that a frame has come.
kernel void blank(global const float4 *second, global uint *nearest)
{
    nearest[get_global_id(1) * get_global_size(0) + get_global_id(0)] = NOTHING;
}

// @rigid takes the second cloud's frame to that of the first camera (x right, y down, z forward).
kernel void project(global const float4 *second, volatile global uint *nearest, float4 lens, float16 rigid)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const float4 point = second[get_global_id(1) * size.x + get_global_id(0)];
    if (point.w <= 0.0f)
        return;
    const float4 p = (float4)(point.xyz, 1.0f);
    const float3 seen = (float3)(dot(rigid.s0123, p), dot(rigid.s4567, p), dot(rigid.s89ab, p));
    if (seen.z <= 0.01f)
        return;
    // A pixel of the one camera lies between four of the other.
    const float2 at = seen.xy / seen.z * lens.xy + lens.zw;
    if (at.x < 0.0f || at.y < 0.0f || at.x > size.x - 1 || at.y > size.y - 1)
        return;
    const uint distance = convert_uint_sat_rte(seen.z * STEPS_PER_M);
    const int2 low = convert_int2_rtn(at), high = min(low + 1, size - 1);
    atomic_min(&nearest[low.y * size.x + low.x], distance);
    atomic_min(&nearest[low.y * size.x + high.x], distance);
    atomic_min(&nearest[high.y * size.x + low.x], distance);
    atomic_min(&nearest[high.y * size.x + high.x], distance);
}

// Distance of the nearest reading of the first camera around a hole. What it read nothing of may still hide what is behind
// it: the second camera looks past a hand, and what it sees there must not be put into a hole of that hand.
float rim_of(global const float4 *first, int2 at, int2 size)
{
    float rim = INFINITY;
    for (int way = 0; way < 9; ++way) {
        const int2 step = (int2)(way % 3 - 1, way / 3 - 1);
        float found = 0.0f;
        for (int i = 1; i <= RIM_PIXELS && found <= 0.0f; ++i) {
            const int2 there = at + i * step;
            if (any(there < 0) || any(there >= size))
                break;
            found = first[there.y * size.x + there.x].w;
        }
        rim = found > 0.0f ? fmin(rim, found) : rim;
    }
    return rim;
}

// @pose is that of the first cloud, as in transform.cl.
kernel void fuse(global const float4 *first, global const uint *nearest, global float4 *cloud, float4 lens, float16 pose)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const int x = get_global_id(0), y = get_global_id(1), i = y * size.x + x;
    float4 point = first[i];
    const float d = nearest[i] / STEPS_PER_M;
    if (point.w <= 0.0f && nearest[i] != NOTHING && d <= rim_of(first, (int2)(x, y), size) + BEHIND_M) {
        const float4 seen = (float4)((x - lens.z) * d / lens.x, (y - lens.w) * d / lens.y, d, 1.0f);
        point = (float4)(dot(pose.s0123, seen), dot(pose.s4567, seen), dot(pose.s89ab, seen), d);
    }
    cloud[i] = point;
}

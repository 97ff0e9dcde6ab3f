// Finds the hand in a point cloud that has the rows and columns of the camera, counts its stretched fingers and tells an
// open palm. Every step is one kernel over all pixels, or over all tiles of 8 x 8; nothing is computed by the host.
//
//   gather, close       closes holes, twice: small ones only, and also the shadows that curled fingers throw on the palm
//   outline             marks where bodies end: at holes, at steps in depth, at the border of the picture
//   across, inscribe    radius of the largest circle inside the body around each pixel: the exact Euclidean distance
//                       transform in two passes (Saito and Toriwaki, 1994)
//   begin, join, survey connected bodies by union-find with atomic minima (after Playne and Hawick, 2018)
//   tile, palm, plane   the palm: where such a circle is largest, near the camera, at the end of a limb, with much outline
//                       around it as fingers have; and the plane of its surface
//   core, trim          fingers: what a morphological opening by a third of the palm's radius takes away
//   climb, settle       each of their pixels goes with the tip that it reaches by climbing away from the palm: the
//                       watershed of the distance, so that fingers that touch at their roots are told apart
//   meet, merge         tips without a gap of some depth between them are one (topological persistence, in two rounds)
//   measure, conclude   which fingers are stretched: long, far out, and in the plane of the palm; and the event
//
// Sizes are in metres and pixels. An index of a pixel has INDEX_BITS, so that it shares a word with what is compared by
// one atomic operation: 12 bits of it for pictures of up to 2^20 pixels, 11 for twice as many. Thresholds follow from the anatomy of hands: palms are 60 to
// 100 mm wide; relative ones are in palm radii, so that hands of all sizes do.

// A program is compiled for one ptask. -D ONLY=PALM leaves all kernels but that one out, which takes a twentieth of the time.
#define ALL 0
#define GATHER 1
#define CLOSE 2
#define OUTLINE 3
#define BEGIN 4
#define ACROSS 5
#define INSCRIBE 6
#define JOIN 7
#define SURVEY 8
#define TILE 9
#define PALM 10
#define PLANE 11
#define CORE 12
#define TRIM 13
#define CLIMB 14
#define SETTLE 15
#define MEET 16
#define MERGE 17
#define MEASURE 18
#define CONCLUDE 19
#ifndef ONLY
#define ONLY ALL
#endif
#define WANTED(kernel) (ONLY == ALL || ONLY == kernel)

#ifndef INDEX_BITS
#define INDEX_BITS 20
#endif
#define INDEX_MASK ((1u << INDEX_BITS) - 1u)
#define RANK_MAX ((1u << (32 - INDEX_BITS)) - 1u)
#define TILE 8      // pixels of a tile, per side
#define GROUP 256   // work items of the kernels that are one work group

#define HOLE_PIXELS 9           // holes up to this far from their rim are closed
#define BODY_STEP_M 0.070f      // neighbours farther apart are two bodies; a curled finger before its palm is not
#define SHADOW_STEP_M 0.010f    // least distance of what throws a shadow that is closed
#define SHADOW_M 0.0080f        // and greatest width of that shadow
#define SLIT_M 0.0045f          // narrower holes are closed whatever is beside them
#define FINGER_STEP 0.018f      // neighbours farther apart than this part of their distance are two fingers
#define BODY_AREA_M2 0.0050f    // smaller bodies are no hands
#define SOLID_M 0.018f          // radius of what counts as the front of a body; noise is thinner
#define PALM_LEAST_M 0.022f
#define PALM_MOST_M 0.060f
#define PALM_LIMIT_M 0.040f     // a larger circle does not look more like a palm
#define OUTLINE_REACH_M 0.110f  // from the centre of a palm to about the tips of its fingers
#define OUTLINE_FULL_M 1.0f     // length of outline around a palm with five fingers apart
#define LIMB_WIDTH 0.5f         // half the width of what goes on as an arm does, in palm radii
#define HAND_DEPTH_M 0.11f      // what is farther before or behind is not near it
#define LIMBS_APART -0.25f      // cosine of the angle between two of them at least
#define NO_END 0.55f            // how much a place that is not the end of a limb looks like a palm
#define DEPTH_FADE_M 0.25f      // behind the front of its body by this much nothing is a palm
#define FINGER_WIDTH 0.33f      // half the width of a finger at most, in palm radii
#define FINGER_WIDTH_M 0.0125f  // the same in metres, for palms that something hides in part
#define FINGER_REACH 4.0f       // no finger's end is farther from the centre, in palm radii
#define FINGER_AREA 0.030f      // least area of what sticks out, in squared palm radii
#define FINGER_TIP 1.70f        // least distance of a stretched finger's tip, in palm radii
#define FINGER_TIP_SHARE 0.64f  // the same, as part of the longest finger's
#define FINGER_LENGTH_SHARE 0.26f  // least length of what sticks out, as part of the longest finger's distance
#define FINGER_LENGTH 0.42f     // least length of what sticks out, in palm radii
#define FINGER_SLOPE 0.40f      // most height of the tip above the plane of the palm, as part of its distance
#define FINGER_SINK 0.70f       // and most depth below it
#define FINGER_RISE 0.55f       // most slope from its base to its tip, towards the camera
#define FINGER_FALL 0.55f       // and away from it
#define PALM_FLAT_M 0.006f      // what stands out of the plane of the palm by more is not part of it
#define TIP_PROMINENCE 0.20f    // two tips are one if the gap between them is not deeper, in palm radii
#define RANK_PER_M (RANK_MAX / 0.4095f)  // distances from the palm that are compared by atomics: 0.1 mm with 12 bits
#define DEPTH_RANK_PER_M 500.0f // distances from the camera: 2 mm
#define AREA_PER_M2 1.0e7f      // areas that are summed by atomics: 0.1 mm2

// What detect tells of a frame; the same structure is in pipeline.hpp.
typedef struct {
    float4 centre; // of the palm, as a point of the cloud; all 0: there is no hand
    float pixel_x; // the same in the picture
    float pixel_y;
    float radius;  // of the palm, in metres
    float fingers; // stretched ones
    float open;    // 1: an open palm
    float reserved[7];
} event;

// What across() looks for; what it looks through; what nobody will ask about.
#define HERE 1
#define INSIDE 0
#define OUTSIDE 2

// The palm; radius 0: there is none.
typedef struct {
    float4 centre;  // point of the cloud
    float4 normal;  // of its plane, towards the camera
    float radius;   // metres
    int index;      // pixel of the centre
    int label;      // body that it belongs to
    int reserved;
} hand;

float gap(float distance) { return FINGER_STEP * distance; }

#if WANTED(GATHER)
// Per tile of 8 x 8 pixels: takes the distances out of the cloud, and tells whether there are any.
// Leaves the cloud as it is and hands it on: several later kernels read it.
kernel void gather(global const float4 *cloud, global float *seen, global uchar *occupied, int2 size)
{
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    uchar any_seen = 0;
    for (int y = at.y * TILE; y < min(at.y * TILE + TILE, size.y); ++y) {
        for (int x = at.x * TILE; x < min(at.x * TILE + TILE, size.x); ++x) {
            const float distance = cloud[y * size.x + x].w;
            seen[y * size.x + x] = distance;
            any_seen |= distance > 0.0f;
        }
    }
    occupied[at.y * get_global_size(0) + at.x] = any_seen;
}
#endif

bool nothing_near(global const uchar *occupied, int2 at, int2 size)
{
    const int2 tiles = (size + TILE - 1) / TILE;
    const int2 first = max((at - HOLE_PIXELS) / TILE, 0), last = min((at + HOLE_PIXELS) / TILE, tiles - 1);
    uchar any_seen = 0;
    for (int y = first.y; y <= last.y; ++y)
        for (int x = first.x; x <= last.x; ++x)
            any_seen |= occupied[y * tiles.x + x];
    return !any_seen;
}

// The first reading beyond `at` and how many pixels away it is; 0 and 0 if there is none near.
float2 rim_of(global const float *seen, int2 at, int2 step, int2 size)
{
    for (int i = 1; i <= HOLE_PIXELS; ++i) {
        at += step;
        if (any(at < 0) || any(at >= size))
            break;
        const float rim = seen[at.y * size.x + at.x];
        if (rim > 0.0f)
            return (float2)(rim, i);
    }
    return 0.0f;
}

#if WANTED(CLOSE)
// Closes holes in two ways. `plain`: where the rim is of one surface all around. `depth`: also where rims on opposite
// sides are of two surfaces, for that is the shadow of one on the other, as of a curled finger on its palm; it is closed
// with the farther one. The palm is looked for in the latter, the fingers in the former, where gaps between fingers stay.
kernel void close(global const float *seen, global const uchar *occupied, global float *plain, global float *depth,
                  float focal)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    const int i = at.y * size.x + at.x;
    float value = seen[i], shaded = seen[i];
    if (seen[i] <= 0.0f && !nothing_near(occupied, at, size)) {
        float sum = 0.0f, least = INFINITY, most = 0.0f, behind = 0.0f;
        for (int axis = 0; axis < 4; ++axis) {
            const int2 step = axis == 3 ? (int2)(1, -1) : (int2)(axis != 1, axis != 0);
            const float2 one = rim_of(seen, at, step, size), other = rim_of(seen, at, -step, size);
            const float near = fmin(one.x, other.x), far = fmax(one.x, other.x);
            const float width = (one.y + other.y) * far / focal;
            if (near > 0.0f && far - near < BODY_STEP_M && width < (far - near > SHADOW_STEP_M ? SHADOW_M : SLIT_M))
                behind = fmax(behind, far);
            sum += near + far;
            least = fmin(least, near);
            most = fmax(most, far);
        }
        value = least > 0.0f && most - least < gap(least) ? sum / 8.0f : 0.0f;
        shaded = least > 0.0f && most - least < BODY_STEP_M ? most : behind;
    }
    plain[i] = value;
    depth[i] = shaded;
}
#endif

#if WANTED(OUTLINE)
kernel void outline(global const float *depth, global uchar *rim)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    const int i = at.y * size.x + at.x;
    const float here = depth[i];
    uchar ends = HERE;
    if (here > 0.0f && at.x > 0 && at.y > 0 && at.x < size.x - 1 && at.y < size.y - 1) {
        const float4 around = (float4)(depth[i - 1], depth[i + 1], depth[i - size.x], depth[i + size.x]);
        ends = any(around <= 0.0f) || any(fabs(around - here) > BODY_STEP_M) ? HERE : INSIDE;
    }
    rim[i] = ends;
}
#endif

#if WANTED(BEGIN)
// Every pixel a body of its own; nothing known of it.
kernel void begin(global const float *depth, global int *label, global uint *pixels, global uint *chosen)
{
    const int i = get_global_id(1) * get_global_size(0) + get_global_id(0);
    label[i] = depth[i] > 0.0f ? i : -1;
    pixels[i] = 0;
    if (i == 0) {
        chosen[0] = UINT_MAX;
        chosen[1] = 0;
    }
}
#endif

#if WANTED(ACROSS)
// Distance to the nearest marked pixel of the row, at most `limit` (255 or less).
kernel void across(global const uchar *mark, global uchar *away, int limit)
{
    const int x = get_global_id(0), width = get_global_size(0), row = get_global_id(1) * width;
    int found = mark[row + x] == OUTSIDE ? limit : 0;
    while (found < limit && mark[row + max(x - found, 0)] != HERE && mark[row + min(x + found, width - 1)] != HERE)
        ++found;
    away[row + x] = found;
}
#endif

// Square of the distance to the nearest marked pixel, from the distances within each row.
int nearest_squared(global const uchar *row, int2 at, int2 size)
{
    int best = row[at.y * size.x + at.x];
    best *= best;
    for (int away = 1; away * away < best; ++away) {
        for (int sign = -1; sign <= 1; sign += 2) {
            const int y = at.y + sign * away;
            if (y >= 0 && y < size.y) {
                const int x = row[y * size.x + at.x];
                best = min(best, away * away + x * x);
            }
        }
    }
    return best;
}

#if WANTED(INSCRIBE)
kernel void inscribe(global const uchar *row, global float *circle)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    circle[at.y * size.x + at.x] = sqrt((float)nearest_squared(row, at, size));
}
#endif

int root_of(volatile global int *label, int i)
{
    for (int up = label[i]; up != i; up = label[i])
        i = up;
    return i;
}

void unite(volatile global int *label, int a, int b)
{
    // The larger root is hung below the smaller one; if another work item was quicker, go on from what it wrote.
    for (;;) {
        a = root_of(label, a);
        b = root_of(label, b);
        if (a == b)
            return;
        const int low = min(a, b), high = max(a, b);
        const int seen = atomic_min(&label[high], low);
        if (seen == high)
            return;
        a = low;
        b = seen;
    }
}

#if WANTED(JOIN)
kernel void join(global const float *depth, volatile global int *label)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    const int i = at.y * size.x + at.x;
    if (label[i] < 0)
        return;
    if (at.x + 1 < size.x && label[i + 1] >= 0 && fabs(depth[i] - depth[i + 1]) <= BODY_STEP_M)
        unite(label, i, i + 1);
    if (at.y + 1 < size.y && label[i + size.x] >= 0 && fabs(depth[i] - depth[i + size.x]) <= BODY_STEP_M)
        unite(label, i, i + size.x);
}
#endif

#if WANTED(SURVEY)
// How large each body is, and the front of all.
kernel void survey(global const float *depth, global const float *circle, volatile global int *label,
                   volatile global uint *pixels, volatile global uint *chosen, float focal)
{
    const int i = get_global_id(1) * get_global_size(0) + get_global_id(0);
    if (label[i] < 0)
        return;
    const int root = root_of(label, i);
    atomic_inc(&pixels[root]);
    if (circle[i] * depth[i] >= SOLID_M * focal)
        atomic_min(&chosen[0], convert_uint_sat_rte(depth[i] * DEPTH_RANK_PER_M));
    label[i] = root;
}
#endif

#if WANTED(TILE)
// Per tile of 8 x 8 pixels: where the largest circle is, and how much outline the tile has, in metres.
kernel void tile(global const float4 *cloud, global const float *depth, global const float *circle,
                 global const uchar *rim, global const int *label, global const uint *pixels, global int *summit,
                 global float *length, int2 size, float focal)
{
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    int best = -1;
    float rims = 0.0f;
    for (int y = at.y * TILE; y < min(at.y * TILE + TILE, size.y); ++y) {
        for (int x = at.x * TILE; x < min(at.x * TILE + TILE, size.x); ++x) {
            const int i = y * size.x + x;
            const float pitch = depth[i] / focal;
            if (cloud[i].w <= 0.0f || pixels[label[i]] * pitch * pitch < BODY_AREA_M2)
                continue;
            rims += rim[i] == HERE ? pitch : 0.0f;
            if (best < 0 || circle[i] * depth[i] > circle[best] * depth[best])
                best = i;
        }
    }
    summit[at.y * get_global_size(0) + at.x] = best;
    length[at.y * get_global_size(0) + at.x] = rims;
}
#endif

// Whether an arm goes on from here in two directions or leaves the picture: then this is no hand.
bool passes_through(global const float *depth, global const float *circle, global const int *label, int i, int2 size,
                    float focal)
{
    const int2 at = (int2)(i % size.x, i / size.x);
    const float ring = 2.0f * circle[i];
    if (min(min(at.x, at.y), min(size.x - 1 - at.x, size.y - 1 - at.y)) < circle[i] + 2.0f)
        return true;
    // The widest place of the ring is the arm; is there another one far from it?
    float2 arm = 0.0f;
    float widest = LIMB_WIDTH * circle[i] * depth[i];
    for (int round = 0; round < 2; ++round) {
        for (int step = 0; step < 64; ++step) {
            const float2 way = (float2)(cos(step * (M_PI_F / 32.0f)), sin(step * (M_PI_F / 32.0f)));
            const int2 there = at + convert_int2_rte(ring * way);
            const bool outside = any(there < 0) || any(there >= size);
            const int j = outside ? i : there.y * size.x + there.x;
            if (outside && round == 0)
                continue;
            const bool same = label[j] == label[i] && fabs(depth[j] - depth[i]) < HAND_DEPTH_M;
            const float width = same ? circle[j] * depth[j] : 0.0f;
            if (round == 1 && width >= LIMB_WIDTH * circle[i] * depth[i] && dot(way, arm) < LIMBS_APART)
                return true;
            if (round == 0 && width > widest) {
                widest = width;
                arm = way;
            }
        }
        if (dot(arm, arm) == 0.0f)
            return false;
    }
    return false;
}

#if WANTED(PALM)
kernel void palm(global const float *depth, global const float *circle, global const int *label,
                 global const int *summit, global const float *length, volatile global uint *chosen, int2 picture,
                 float focal)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    const int i = summit[at.y * size.x + at.x];
    if (i < 0)
        return;
    const float pitch = depth[i] / focal;
    const float radius = circle[i] * pitch;
    if (radius < PALM_LEAST_M || radius > PALM_MOST_M)
        return;
    const int reach = (int)ceil(OUTLINE_REACH_M / pitch / TILE);
    float rims = 0.0f;
    for (int y = max(at.y - reach, 0); y <= min(at.y + reach, size.y - 1); ++y) {
        for (int x = max(at.x - reach, 0); x <= min(at.x + reach, size.x - 1); ++x) {
            const int other = summit[y * size.x + x];
            if (other < 0 || label[other] != label[i] || fabs(depth[other] - depth[i]) > HAND_DEPTH_M)
                continue;
            if (abs(x - at.x) <= 2 && abs(y - at.y) <= 2 && circle[other] * depth[other] > circle[i] * depth[i])
                return;  // not the summit
            rims += length[y * size.x + x];
        }
    }
    const float front = chosen[0] / DEPTH_RANK_PER_M;
    const float score = fmin(radius, PALM_LIMIT_M) / PALM_LIMIT_M * (0.3f + 0.7f * fmin(rims / OUTLINE_FULL_M, 1.0f)) *
                        clamp(1.0f - (depth[i] - front) / DEPTH_FADE_M, 0.0f, 1.0f) *
                        (passes_through(depth, circle, label, i, picture, focal) ? NO_END : 1.0f);
    const uint rank = convert_uint_rte(score * RANK_MAX);
    if (rank > 0)
        atomic_max(&chosen[1], rank << INDEX_BITS | (uint)i);
}
#endif

// Half the width of the widest finger.
float finger_width(float radius) { return fmax(FINGER_WIDTH * radius, FINGER_WIDTH_M); }

#if WANTED(PLANE)
// The plane of the palm, z = a x + b y + c around its centre in the user's frame: by least squares, then again without
// what stands out of the first plane, as a thumb folded over the palm does. One work group.
kernel void plane(global const float4 *cloud, global const float *circle, global const int *label,
                  global const uint *chosen, global hand *found, int2 size, float focal)
{
    local float sums[9][GROUP];
    const int self = get_local_id(0);
    const bool any_palm = chosen[1] != 0;
    const int centre = any_palm ? (int)(chosen[1] & INDEX_MASK) : 0;
    const float4 origin = cloud[centre];
    const int reach = any_palm ? (int)circle[centre] : 0, side = 2 * reach + 1;
    float3 fit = 0.0f;  // a, b, c
    for (int round = 0; round < 3; ++round) {
        float sum[9] = {0};
        for (int i = self; i < side * side; i += GROUP) {
            const int2 off = (int2)(i % side - reach, i / side - reach);
            if (off.x * off.x + off.y * off.y > reach * reach)
                continue;  // all of the circle is inside the picture
            const float4 point = cloud[centre + off.y * size.x + off.x];
            const float3 p = point.xyz - origin.xyz;
            if (point.w <= 0.0f || (round > 0 && fit.x * p.x + fit.y * p.y + fit.z - p.z > PALM_FLAT_M))
                continue;
            const float terms[9] = {p.x * p.x, p.x * p.y, p.y * p.y, p.x, p.y, 1.0f, p.x * p.z, p.y * p.z, p.z};
            for (int term = 0; term < 9; ++term)
                sum[term] += terms[term];
        }
        for (int term = 0; term < 9; ++term)
            sums[term][self] = sum[term];
        for (int others = GROUP / 2; others > 0; others /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int term = 0; self < others && term < 9; ++term)
                sums[term][self] += sums[term][self + others];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        // Cramer's rule for the normal equations, columns (xx xy x), (xy yy y), (x y 1).
        const float3 first = (float3)(sums[0][0], sums[1][0], sums[3][0]);
        const float3 second = (float3)(sums[1][0], sums[2][0], sums[4][0]);
        const float3 third = (float3)(sums[3][0], sums[4][0], sums[5][0]);
        const float3 right = (float3)(sums[6][0], sums[7][0], sums[8][0]);
        const float determinant = dot(first, cross(second, third));
        if (determinant > 0.0f)
            fit = (float3)(dot(right, cross(second, third)), dot(first, cross(right, third)),
                           dot(first, cross(second, right))) / determinant;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (self == 0) {
        hand result = {0};
        if (any_palm) {
            result.centre = (float4)(origin.xy, origin.z + fit.z, origin.w);
            result.normal = (float4)(normalize((float3)(fit.x, fit.y, -1.0f)), 0.0f);
            result.radius = circle[centre] * origin.w / focal;
            result.index = centre;
            result.label = label[centre];
        }
        *found = result;
    }
}
#endif

#if WANTED(CORE)
// Marks where a circle as wide as a finger can be still fits into the body.
kernel void core(global const float *depth, global const float *circle, global const int *label,
                 global const hand *found, global uchar *thick, float focal)
{
    const int i = get_global_id(1) * get_global_size(0) + get_global_id(0);
    if (found->radius > 0.0f && label[i] == found->label)
        thick[i] = circle[i] * depth[i] >= finger_width(found->radius) * focal ? HERE : INSIDE;
    else
        thick[i] = OUTSIDE;
}
#endif

#if WANTED(TRIM)
// Keeps what no such circle covers, near the palm: how far from its centre, along its plane; else 0.
kernel void trim(global const float4 *cloud, global const int *label, global const uchar *row,
                 global const hand *found, global float *reach, global uint *pass, global uint *area,
                 global uint *base, float focal)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    const int i = at.y * size.x + at.x;
    const float4 point = cloud[i];
    float far = 0.0f;
    if (found->radius > 0.0f && label[i] == found->label && point.w > 0.0f) {
        const float3 away = point.xyz - found->centre.xyz;
        const float covered = finger_width(found->radius) * focal / point.w + 1.5f;
        if (length(away) < FINGER_REACH * found->radius && nearest_squared(row, at, size) > covered * covered)
            far = length(away - dot(away, found->normal.xyz) * found->normal.xyz);
    }
    reach[i] = far;
    pass[i] = 0;
    area[i] = 0;
    base[i] = UINT_MAX;
}
#endif

#if WANTED(CLIMB)
// Each pixel of a finger points to the neighbour farthest from the palm; who has none farther is the tip of a finger.
kernel void climb(global const float *depth, global const float *reach, global int *finger)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    const int i = at.y * size.x + at.x;
    int best = reach[i] > 0.0f ? i : -1;
    for (int step = 0; best >= 0 && step < 9; ++step) {
        const int2 there = at + (int2)(step % 3 - 1, step / 3 - 1);
        const int j = there.y * size.x + there.x;
        if (all(there >= 0) && all(there < size) && fabs(depth[j] - depth[i]) <= gap(depth[i]) &&
            (reach[j] > reach[best] || (reach[j] == reach[best] && j > best)))
            best = j;
    }
    finger[i] = best;
}
#endif

uint rank_of(float metres) { return min(convert_uint_sat_rte(metres * RANK_PER_M), RANK_MAX); }

#if WANTED(SETTLE)
kernel void settle(volatile global int *finger)
{
    const int i = get_global_id(1) * get_global_size(0) + get_global_id(0);
    if (finger[i] >= 0)
        finger[i] = root_of(finger, i);
}
#endif

#if WANTED(MEET)
// Where two fingers meet, the pass between them is as high as its lower side. The lower finger keeps the highest of its
// passes and who is beyond it.
kernel void meet(global const float *depth, global const float *reach, global const int *finger,
                 volatile global uint *pass)
{
    const int2 size = (int2)(get_global_size(0), get_global_size(1));
    const int2 at = (int2)(get_global_id(0), get_global_id(1));
    const int i = at.y * size.x + at.x;
    for (int step = 5; finger[i] >= 0 && step < 9; ++step) {
        const int2 there = at + (int2)(step % 3 - 1, step / 3 - 1);
        const int j = there.y * size.x + there.x;
        if (any(there < 0) || any(there >= size) || finger[j] < 0 || finger[j] == finger[i] ||
            fabs(depth[j] - depth[i]) > gap(depth[i]))
            continue;
        const int a = finger[i], b = finger[j];
        const bool a_is_lower = reach[a] < reach[b] || (reach[a] == reach[b] && a < b);
        atomic_max(&pass[a_is_lower ? a : b],
                   rank_of(fmin(reach[i], reach[j])) << INDEX_BITS | (uint)(a_is_lower ? b : a));
    }
}
#endif

#if WANTED(MERGE)
// A tip that hardly rises above its pass is part of the finger beyond. What is left may meet over other passes.
kernel void merge(global const hand *found, global const float *reach, global const uint *pass, global int *finger,
                  global uint *next_pass)
{
    const int i = get_global_id(1) * get_global_size(0) + get_global_id(0);
    if (finger[i] == i && pass[i] != 0 &&
        reach[i] - (pass[i] >> INDEX_BITS) / RANK_PER_M < TIP_PROMINENCE * found->radius)
        finger[i] = (int)(pass[i] & INDEX_MASK);
    next_pass[i] = 0;
}
#endif

#if WANTED(MEASURE)
kernel void measure(global const float *depth, global const float *reach, volatile global int *finger,
                    volatile global uint *area, volatile global uint *base, float focal)
{
    const int i = get_global_id(1) * get_global_size(0) + get_global_id(0);
    if (finger[i] < 0)
        return;
    const int root = root_of(finger, i);
    const float pitch = depth[i] / focal;
    atomic_add(&area[root], convert_uint_rte(pitch * pitch * AREA_PER_M2));
    atomic_min(&base[root], rank_of(reach[i]) << INDEX_BITS | (uint)i);
    finger[i] = root;
}
#endif

#if WANTED(CONCLUDE)
// One work group.
kernel void conclude(global const float4 *cloud, global const hand *found, global const float *reach,
                     global const uint *area, global const uint *base, global const uint *pass, global event *result,
                     int2 size)
{
    local int fingers;
    local uint longest;
    const int self = get_local_id(0);
    if (self == 0) {
        fingers = 0;
        longest = 0;
    }
    const float palm = found->radius;
    // First the longest finger, then all that are stretched beside it.
    for (int round = 0; round < 2; ++round) {
        barrier(CLK_LOCAL_MEM_FENCE);
        const float best = longest / RANK_PER_M;
        for (int i = self; palm > 0.0f && i < size.x * size.y; i += GROUP) {
            if (area[i] < FINGER_AREA * palm * palm * AREA_PER_M2)
                continue;
            const int foot = base[i] & INDEX_MASK;
            const float out = reach[i] - fmax(reach[foot], (pass[i] >> INDEX_BITS) / RANK_PER_M);
            const float height = dot(cloud[i].xyz - found->centre.xyz, found->normal.xyz);
            const float rise = dot(cloud[i].xyz - cloud[foot].xyz, found->normal.xyz) / (reach[i] - reach[foot]);
            if (reach[i] < FINGER_TIP * palm || out < FINGER_LENGTH * palm || height > FINGER_SLOPE * reach[i] ||
                height < -FINGER_SINK * reach[i] || rise > FINGER_RISE ||
                rise < -FINGER_FALL)
                continue;
            if (round == 0)
                atomic_max(&longest, rank_of(reach[i]));
            else if (reach[i] >= FINGER_TIP_SHARE * best && out >= FINGER_LENGTH_SHARE * best)
                atomic_inc(&fingers);
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (self == 0) {
        event told = {0};
        if (palm > 0.0f) {
            told.centre = found->centre;
            told.pixel_x = found->index % size.x;
            told.pixel_y = found->index / size.x;
            told.radius = palm;
            told.fingers = fingers;
            told.open = fingers == 5 ? 1.0f : 0.0f;
        }
        *result = told;
    }
}
#endif

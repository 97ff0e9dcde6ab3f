// Half of every value: a kernel as a stage of a shell pipeline (yoke stage halve.cl).
kernel void halve(global const ushort *in, global ushort *out)
{
    const int i = get_global_id(1) * get_global_size(0) + get_global_id(0);
    out[i] = in[i] / 2;
}

// Which endpoint serves which kind of path.
#include "worker/endpoint/endpoint.hpp"

#include "worker/endpoint/byte_sink.hpp"
#include "worker/endpoint/byte_source.hpp"
#include "worker/endpoint/uinput_sink.hpp"
#include "worker/endpoint/v4l2_source.hpp"

namespace yoke::worker {

Result<std::unique_ptr<Endpoint>> open_endpoint(const Place& place) {
    switch (place.definition.kind) {
        case control::EndpointDefinition::Kind::v4l2:
            return V4l2Source::open(place);
        case control::EndpointDefinition::Kind::uinput:
            return UinputSink::open(place);
        default:
            return place.source ? ByteSource::open(place) : ByteSink::open(place);
    }
}

}  // namespace yoke::worker

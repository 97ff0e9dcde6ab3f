// One list of members, so that every kind of session is listed with the same columns.
#include "worker/session_record.hpp"

namespace yoke::worker {

void add_report(control::Json& record, const executive::SessionReport& report) {
    record["taken"] = report.taken;
    record["completed"] = report.completed;
    record["failed"] = report.failed;
    record["in_flight"] = report.in_flight;
    record["bytes_in"] = report.bytes_in;
    record["bytes_out"] = report.bytes_out;
    record["busy_ns"] = report.busy_ns;
    record["keys"] = report.keys;
    record["fault"] = report.fault;
}

}  // namespace yoke::worker

// A worker's death and the way to the next worker. See session.hpp.
//
// Only when the pidfd says that the worker is gone does nobody write into the arena any more: then what has completed
// is taken, what is quarantined becomes free, and the rings are zeroed for the next worker, which gets the same arena.
// A call whose execution had not begun is submitted again; one that was executing is a suspect and is repeated here,
// once, so that a call that kills workers kills no second one.
#include <unistd.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "client/broker.hpp"
#include "client/session.hpp"
#include "ring/layout.hpp"

namespace yoke::client {

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t dying_ns = 10 * second_ns;          // a worker's sockets close before its pidfd fires; a device
                                                            // of its may take seconds in between
constexpr std::uint64_t relink_timeout_ns = 5 * second_ns;  // yoked starts a worker in well under one
constexpr std::uint64_t reopen_timeout_ns = 30 * second_ns;  // kernels are compiled again, or read from the cache
constexpr std::uint64_t retry_min_ns = second_ns / 10;
constexpr std::uint64_t retry_max_ns = 5 * second_ns;

// Errors of an attempt that raced with the death itself, or with a daemon that starts; the next attempt may succeed.
bool passes(int code) {
    return code == ECONNRESET || code == EPIPE || code == EAGAIN || code == ETIME || code == ECONNREFUSED ||
           code == ENOENT;
}

}  // namespace

// Looks at a worker that has not answered for a while.
void Session::check_worker(std::uint64_t until_ns) {
    if (state_ == State::lost || state_ == State::local) {
        return;
    }
    if (link_.worker_gone()) {
        lose();
        reach_worker(until_ns);
        return;
    }
    if (state_ == State::refused) {
        return;
    }
    if (link_.status_page().fault != 0) {
        refuse_service();
    } else if (link_.hung_up()) {
        if (link_.worker_gone(now_ns() + dying_ns)) {
            lose();
            reach_worker(until_ns);
        } else {
            refuse_service();
        }
    }
}

// Whether a worker serves the session; looks for the next one, until `until_ns` (0: as long as it takes), if it is
// lost.
bool Session::reach_worker(std::uint64_t until_ns) {
    if (state_ == State::linked) [[likely]] {
        return true;
    }
    if (state_ == State::local) {
        lost_error_ = {ENOTCONN, "the session was opened with YOKE_OPEN_LOCAL and has no worker"};
        return false;
    }
    if (state_ == State::refused) {
        if (!link_.worker_gone()) {
            resolve_stranded();
            return false;
        }
        lose();
    }
    const bool reached = relink(until_ns);
    if (reached || given_up_) {
        resolve_stranded();
    }
    return state_ == State::linked;
}

// The worker is gone: nothing that it was doing goes on.
void Session::lose() {
    harvest();
    const std::size_t before = stranded_.size();
    bool streams = false;  // datablocks wait for each other: however many, they are one suspicion
    flights_->each([this, &streams](const Flight& flight, unsigned ring, std::uint64_t position) {
        if (flight.ticket != Flight::quarantined) {
            Ticket& ticket = tickets_[flight.ticket];
            ticket.state = Ticket::State::stranded;
            ticket.suspect = flights_->running(ring, position);
            if (ticket.suspect && (ticket.job.opcode == YOKE_OP_CALL || !std::exchange(streams, true))) {
                suspects_++;
            }
            stranded_.push_back(flight.ticket);
        }
    });
    std::sort(stranded_.begin() + static_cast<std::ptrdiff_t>(before), stranded_.end(),
              [this](std::uint32_t a, std::uint32_t b) {
                  return std::pair(tickets_[a].ring, tickets_[a].position) <
                         std::pair(tickets_[b].ring, tickets_[b].position);
              });
    flights_->drop();
    keys_.forget_remote();
    graphs_.forget_remote();
    ring::clear_rings(arena_, link_.layout());
    state_ = State::lost;
    lost_ns_ = now_ns();
    dead_pid_ = link_.worker_pid();
    death_ = "the worker died";
    to_blame_ = false;
    given_up_ = false;
    retry_ns_ = 0;
    backoff_ns_ = retry_min_ns;
    log_info(Topic::client, "worker died",
             {{"pid", link_.worker_pid()}, {"waiting", stranded_.size()}, {"suspects", suspects_}});
}

// The worker lives but has ended the service of this session; it may still write what it was writing.
void Session::refuse_service() {
    harvest();
    state_ = State::refused;
    lost_error_ = {EPROTO,
                   fmt::format("the worker {} no longer serves this session (fault {}); close it and open another",
                               link_.worker_pid(), link_.status_page().fault)};
    std::vector<std::uint32_t> waiting;
    flights_->each([&](const Flight& flight, unsigned, std::uint64_t) {
        if (flight.ticket != Flight::quarantined) {
            waiting.push_back(flight.ticket);
        }
    });
    for (const std::uint32_t index : waiting) {
        flights_->quarantine(tickets_[index].ring, tickets_[index].position);
        end_with(index, EPROTO);
    }
    log_warning(Topic::client, "worker refuses the session; calls run in the caller", {{"pid", link_.worker_pid()}});
}

bool Session::relink(std::uint64_t until_ns) {
    if (given_up_ && now_ns() < retry_ns_) {
        return false;
    }
    const std::uint64_t give_up_ns = (given_up_ ? now_ns() : lost_ns_) + relink_timeout_ns;
    const std::uint64_t limit_ns = until_ns == 0 ? give_up_ns : std::min(until_ns, give_up_ns);
    for (;;) {
        auto linked = try_relink(limit_ns);
        if (linked) {
            break;
        }
        // Who made yoked hold the account back hears of it at once; others wait.
        const bool held =
            linked.error().code == EBUSY && hold_ns_ != 0 && !to_blame_ && now_ns() + hold_ns_ < give_up_ns;
        if ((held || passes(linked.error().code)) && now_ns() < give_up_ns) {
            if (now_ns() >= limit_ns) {
                lost_error_ = {ETIME, "the worker died and no other was there in time: " + linked.error().message};
                return false;  // the next call goes on looking
            }
            constexpr std::uint64_t look_ns = second_ns / 10;  // a hold may end earlier than was told
            ::usleep(held ? static_cast<useconds_t>(std::min(hold_ns_, look_ns) / 1000) + 1 : 5'000);
            continue;
        }
        if (!given_up_) {
            log_warning(Topic::client, "no worker; calls run in the caller", {{"error", linked.error().message}});
        }
        lost_error_ = {linked.error().code == EBUSY ? EBUSY : ENOTCONN, linked.error().message};
        given_up_ = true;
        retry_ns_ = now_ns() + backoff_ns_;
        backoff_ns_ = std::min(backoff_ns_ * 2, retry_max_ns);
        return false;
    }
    state_ = State::linked;
    given_up_ = false;
    suspects_ = 0;
    reconnects_++;
    log_info(Topic::client, "another worker serves the session",
             {{"pid", link_.worker_pid()}, {"lost_ms", (now_ns() - lost_ns_) / 1'000'000}});
    return true;
}

Status Session::try_relink(std::uint64_t until_ns) {
    auto broker = connect_to_broker(socket_, Autostart::yes);
    if (!broker) {
        return tl::unexpected(broker.error());
    }
    // Another session may have used the rings between two attempts: zero them again, right before they are handed over.
    ring::clear_rings(arena_, link_.layout());
    BrokerNews news;
    auto link = Link::reopen(*broker, link_, suspects_, until_ns, news);
    hold_ns_ = news.retry_ms * 1'000'000;
    suspects_ = news.heard ? 0 : suspects_;
    note_death(news);
    if (!link) {
        return tl::unexpected(link.error());
    }
    link_ = std::move(*link);
    flights_->restart(view());
    waiter_.emplace(view());
    auto sent = keys_.send_all(link_, until_ns);
    if (!sent && !link_.worker_gone(now_ns() + dying_ns)) {
        // This worker has the arena now, so it cannot be handed to another one while it lives.
        state_ = State::refused;
        return fail(EPROTO, "the new worker does not take the session's keys: {}", sent.error().message);
    }
    return sent;
}

// What yoked knows of the death of this session's worker; counted once.
void Session::note_death(const BrokerNews& news) {
    if (news.dead_pid == 0 || news.dead_pid != dead_pid_) {
        return;
    }
    dead_pid_ = 0;
    const std::string object = news.dead_object.empty() ? "" : " while running " + news.dead_object;
    death_ = fmt::format("the worker died{}: {}; {}", object, news.dead_why, news.log);
    to_blame_ = graphs_.blame(news.dead_object);
}

// Why a push, pull or move has failed, as far as that is known.
std::string Session::cause_of(std::uint32_t channel, int status) {
    if (status == -ERESTART || (status == -EIO && !graphs_.remote(channel))) {
        return death_;
    }
    if (status != -EIO) {
        return {};
    }
    if (state_ != State::linked) {
        return lost_error_.message;
    }
    constexpr std::uint64_t patience_ns = second_ns;
    const auto answer = link_.request({{"op", "why"}, {"name", graphs_.graph_of(channel)}}, {}, now_ns() + patience_ns);
    if (!answer) {
        return {};
    }
    const auto reasons = answer->body.find("why");
    if (reasons == answer->body.end() || !reasons->is_array() || reasons->empty() || !reasons->front().is_object() ||
        reasons->front().value("reason", control::Json()) != "failed") {
        return {};
    }
    const control::Json sentence = reasons->front().value("sentence", control::Json());
    return sentence.is_string() ? sentence.get<std::string>() : std::string();
}

// Decides what becomes of the calls whose worker died: there is another one, or none is to be had.
void Session::resolve_stranded() {
    std::vector<std::uint32_t> waiting;
    waiting.swap(stranded_);
    stranded_.reserve(tickets_.count());
    for (const std::uint32_t index : waiting) {
        resolve(index);
    }
}

void Session::resolve(std::uint32_t index) {
    Ticket& ticket = tickets_[index];
    const Prepared& prepared = ticket.job.prepared;
    if (ticket.job.opcode != YOKE_OP_CALL) {
        resolve_stream(index);
        return;
    }
    if (ticket.suspect) {
        repeated_++;
        run_here(prepared, YOKE_WHY_LOST, true, ticket.result);
        tickets_.end(index);
        return;
    }
    if (state_ == State::linked) {
        repeated_++;
        if (start(index) != 0) {
            end_with(index, EIO);  // its ring had a slot for it before, so this worker does not serve its rings
        }
        return;
    }
    if (prepared.place == YOKE_PLACE_WORKER) {
        end_with(index, lost_error_.code);
        return;
    }
    fallbacks_++;
    run_here(prepared, YOKE_WHY_BARRED, true, ticket.result);
    tickets_.end(index);
}

// A push, pull or move is not repeated: the datablock may have been taken, or have been lost with the graph.
void Session::resolve_stream(std::uint32_t index) {
    Ticket& ticket = tickets_[index];
    const std::uint64_t deadline_ns = ticket.job.prepared.deadline_ns;
    const bool reopened = state_ == State::linked &&
                          reopen_graphs(deadline_ns != 0 ? deadline_ns : now_ns() + reopen_timeout_ns).has_value();
    const Job& job = ticket.job;
    if (!reopened || !graphs_.remote(job.channel) || (job.opcode == YOKE_OP_MOVE && !graphs_.remote(job.to))) {
        end_with(index, EIO);
        return;
    }
    ticket.result = {};
    ticket.result.status = -ERESTART;
    ticket.result.detail = job.quiet ? 0 : graphs_.take_restart(job.channel).value_or(0);
    tickets_.end(index);
}

Status Session::reopen_graphs(std::uint64_t deadline_ns) {
    if (!graphs_.stale()) [[likely]] {
        return {};
    }
    return graphs_.reopen(link_, keys_, deadline_ns);
}

Result<control::Message> Session::ask_graph(const control::Json& body, std::uint64_t timeout_ns) {
    const std::uint64_t deadline_ns = now_ns() + timeout_ns;
    const auto& op = body.at("op").get_ref<const std::string&>();
    const bool ends = op == "terminate_graph" || op == "remove_graph";
    for (int attempt = 0;; attempt++) {
        if (!reach_worker(deadline_ns)) {
            return tl::unexpected(lost_error_);
        }
        const bool was_lost = ends && graphs_.forget_lost(body.at("name").get<std::string>());
        auto answer =
            reopen_graphs(deadline_ns).and_then([&] { return link_.request(keys_.for_worker(body), {}, deadline_ns); });
        if (answer) {
            auto kept = graphs_.keep(body, answer->body);
            return kept ? std::move(answer) : tl::unexpected(kept.error());
        }
        const int code = answer.error().code;
        if (was_lost && code == ENOENT) {
            return control::Message{.body = {{"ok", true}}, .fds = {}};  // it went with its worker
        }
        if (attempt != 0 || (code != ECONNRESET && code != EPIPE) || !link_.worker_gone(now_ns() + dying_ns)) {
            return answer;
        }
        check_worker(deadline_ns);
    }
}

}  // namespace yoke::client

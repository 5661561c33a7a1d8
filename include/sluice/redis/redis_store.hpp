// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_STORE_HPP
#define SLUICE_REDIS_REDIS_STORE_HPP

#include <memory>
#include <string_view>
#include <utility>

#include <sluice/redis/redis_backend.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_pipeline.hpp>
#include <sluice/remote/remote_store.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// States in a Redis server (6.2 or later, or Valkey), shared by all processes that use it: one limit for all.
///
///     sluice::RedisStore redis{"redis://127.0.0.1:6379"};
///     sluice::RateLimiter api{sluice::TokenBucket{10, sluice::per_second(1)}, redis, {.name = "api"}};
///
/// `rediss://` is over TLS: see RedisOptions::tls.
///
/// A handle: copies share the connections. Thread-safe; no background thread; may be used in a forked child, which gets
/// connections of its own. The constructor never dials, and works while the server is away.
///
/// Cost: one round trip for a decision, a script of three commands; while all connections are busy, what waits is
/// combined, so that a round trip and a script serve many decisions, as they do for try_consume_many: 128 keys in a
/// script, 1,024 in a round trip. No call takes longer than RedisOptions::timeout.
///
/// A policy of one's own needs a codec (see StateCodec), and its decisions two round trips: the state is read, stepped
/// here, and put back unless another process came first; then again, and Errc::busy after the 32nd time.
///
/// Time is the server's, in microseconds. Where it goes back, a key is used up at most. Every key expires by
/// itself once it is as good as new (a bucket's once the whole bucket would be full). Keys hold up to 1,024 bytes of
/// any kind, else the Decision has Errc::invalid_argument; they are stored as
/// prefix:limiter:<id of limiter, policy and parameters>:key.
///
/// Failure: the Decision carries an Errc, and the limiter's failure mode decides. A request whose first byte was sent
/// is never sent again, so nothing is charged twice. After some failures in a row the server is left alone for a
/// moment (Errc::breaker_open, at once); errors that concern one request (a full server's, a missing permission) are
/// answers, not failures of that kind. A server that tells that it cannot serve (a replica, one that loads, a wrong password) is
/// left, and its name looked up anew: a failover needs nothing of the program. A server in cluster mode behind a plain
/// URL is Errc::misconfigured.
///
/// Cluster (redis+cluster://): which master serves which of the 16,384 slots is asked of the hosts in the URL and of all
/// nodes found through them, by the caller that needs it, and at most ten times a second. Calls are combined for each node
/// and slot, since a script may not touch two; many keys go to all nodes at once. A call that a node turns away was
/// certainly not done: it is sent where it belongs, 5 times at most and within its deadline, so that moving slots fails
/// none. (Redis does not run a script of several keys, as AllOf's are, on a slot that is being moved while some of them
/// are missing; such a call is repeated every 5 ms until its deadline, then Errc::busy.) Each node has its own breaker and
/// its own RedisOptions::connections: a lost master fails the calls of its slots alone, and these succeed within
/// 0.2 s of another taking its place. Where the cluster says that nobody serves a slot, that is Errc::busy.
///
/// Sentinel (redis+sentinel://): every dial asks the sentinels, one after another from the one that answered last, who the
/// master is, and the server whether it is one (a user with few rights needs +role; at the sentinels,
/// +sentinel|get-master-addr-by-name). A call every RedisOptions::sentinel.recheck asks again for all, so that a master
/// that was replaced without knowing is left by then. A master that comes back empty before the sentinels have noticed is
/// still theirs, and is used: its keys begin anew. So they do as far as replicas lagged behind a lost master.
///
/// Use a database without eviction (maxmemory-policy noeviction): an evicted key is a fresh one. ping() looks: it runs
/// what decisions need, on a connection of its own, with a key prefix:ping of a second's life.
class RedisStore : public detail::remote::RemoteStore<detail::redis::RedisBackend> {
public:
    /// Throws std::invalid_argument for a bad URL (see RedisUrl; the text never shows it) or bad options.
    explicit RedisStore(std::string_view url, RedisOptions options = {})
        : RemoteStore(std::make_shared<detail::redis::RedisBackend>(url, std::move(options))) {}

    // See PipelineStore.
    detail::redis::RedisPipeline pipeline() const { return detail::redis::RedisPipeline{backend()}; }
    const void* pipeline_id() const noexcept { return backend().get(); }
    template <Policy P>
    void add(detail::redis::RedisPipeline& pipeline, const Request<P>& request, Consumption& out) const {
        pipeline.add(request, out);
    }
    template <Policy P>
    void finish(const Request<P>&, Consumption&) const noexcept {}
};

}  // namespace sluice

#endif

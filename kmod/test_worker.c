// SPDX-License-Identifier: GPL-2.0
/*
 * A worker for tests of the module: serves /dev/yoke on one thread, honestly or in one of the ways in which a worker
 * can fail or lie. It shares no code with yoke-worker but the ABI, so that a misreading in one of them shows.
 *
 * usage: test_worker MODE [COUNT [SPIN_US]]
 * It polls for SPIN_US (50) after the last entry before it sleeps.
 *   honest     serves
 *   status     completes with a status that is none
 *   length     completes with a length one too long
 *   place      completes with a place that is none
 *   wrong      completes the neighbour's slot instead of the one that was asked for
 *   unasked    fills all completion slots, for this lap and the next, before anything is asked, then serves
 *   twice      serves, and writes each completion once more with another content
 *   late       serves each entry 200 ms after it came
 *   mute       takes entries, completes none; its heart beats
 *   deaf       takes nothing, its heart stops
 *   scribble   serves, and fills status page and cancel words with noise in between
 *   refuse     serves, but takes no key
 *   die        serves COUNT entries, then kills itself while it holds the next one
 *   leave      serves COUNT entries, then leaves in order
 * Prints "serving GENERATION" when it does; exits with 0 when the kernel faulted the session (modes that lie) or on
 * SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <uapi/yoke_kernel.h>
#include <uapi/yoke_ring.h>

#define KEYS 256
#define LATE_NS 200000000ull
#define BEAT_NS 100000000ull

struct key {
	uint16_t service;
	uint32_t length;
	uint8_t bytes[YOKE_KERNEL_KEY_BYTES_MAX];
};

static struct {
	int device, bell, epoll;
	const char *mode;
	long count;
	uint8_t *arena;
	struct yoke_status_page *status;
	struct yoke_layout layout;
	uint64_t head[YOKE_RINGS];
	struct key key[KEYS]; /* by number - 1 */
	uint64_t served, beat_ns, generation, spin_ns;
} w;

static atomic_int ending; /* written by a signal handler */

static void on_signal(int number)
{
	(void)number;
	ending = 1;
}

static bool is(const char *mode)
{
	return strcmp(w.mode, mode) == 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "test_worker: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* One cipher operation; @tag: of an AEAD. Returns 0 or -YOKE_*. */
static int cipher(const EVP_CIPHER *kind, const struct key *key, const uint8_t *iv, bool decrypt, const uint8_t *in,
		  uint8_t *out, uint32_t length, const uint8_t *aad, uint32_t aad_length, uint8_t *tag,
		  uint32_t tag_length)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int written = 0;
	bool good = EVP_CipherInit_ex(context, kind, NULL, key->bytes, iv, !decrypt) == 1;

	EVP_CIPHER_CTX_set_padding(context, 0);
	if (good && aad_length)
		good = EVP_CipherUpdate(context, NULL, &written, aad, (int)aad_length) == 1;
	if (good && length)
		good = EVP_CipherUpdate(context, out, &written, in, (int)length) == 1;
	if (good && tag && decrypt)
		good = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)tag_length, tag) == 1;
	if (good && tag && EVP_CipherFinal_ex(context, out + length, &written) != 1) {
		EVP_CIPHER_CTX_free(context);
		return -YOKE_EBADMSG;
	}
	if (good && tag && !decrypt)
		good = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, (int)tag_length, tag) == 1;
	EVP_CIPHER_CTX_free(context);
	return good ? 0 : -YOKE_EIO;
}

static int run_xts(const struct yoke_submission *s, const struct yoke_params_aes_xts *xts, const struct key *key)
{
	unsigned __int128 tweak;
	uint32_t done;
	int status = 0;

	memcpy(&tweak, xts->start, 16);
	for (done = 0; done < s->in_length && !status; done += xts->unit, tweak++) {
		uint32_t bytes = s->in_length - done < xts->unit ? s->in_length - done : xts->unit;

		status = cipher(key->length == 32 ? EVP_aes_128_xts() : EVP_aes_256_xts(), key, (const uint8_t *)&tweak,
				s->flags & YOKE_FLAG_DECRYPT, w.arena + s->in_offset + done,
				w.arena + s->out_offset + done, bytes, NULL, 0, NULL, 0);
	}
	return status;
}

static int run_gcm(const struct yoke_submission *s, const struct yoke_params_aes_gcm *gcm, const struct key *key)
{
	bool decrypt = s->flags & YOKE_FLAG_DECRYPT;
	uint32_t text = decrypt ? s->in_length - gcm->tag_length : s->in_length;
	const uint8_t *aux = w.arena + s->aux_offset;
	uint8_t *in = w.arena + s->in_offset;
	uint8_t *out = w.arena + s->out_offset;

	return cipher(key->length == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(), key, aux, decrypt, in, out, text,
		      aux + gcm->iv_length, gcm->aad_length, decrypt ? in + text : out + text, gcm->tag_length);
}

static int run_sha256(const struct yoke_submission *s, const struct yoke_params_sha256 *sha)
{
	uint32_t message = sha->message ? sha->message : s->in_length;
	uint32_t begin = 0, n = 0;

	do {
		SHA256(w.arena + s->in_offset + begin, message, w.arena + s->out_offset + 32 * n++);
		begin += message;
	} while (begin < s->in_length);
	return 0;
}

static int execute(const struct yoke_submission *s, const void *params)
{
	const struct key *key = &w.key[(s->object - 1) % KEYS];
	bool short_key = key->length == 16;

	switch (s->service) {
	case YOKE_SERVICE_ECHO:
		memcpy(w.arena + s->out_offset, w.arena + s->in_offset, s->in_length);
		return 0;
	case YOKE_SERVICE_AES_ECB:
		return cipher(short_key ? EVP_aes_128_ecb() : EVP_aes_256_ecb(), key, NULL,
			      s->flags & YOKE_FLAG_DECRYPT, w.arena + s->in_offset, w.arena + s->out_offset,
			      s->in_length, NULL, 0, NULL, 0);
	case YOKE_SERVICE_AES_CTR:
		return cipher(short_key ? EVP_aes_128_ctr() : EVP_aes_256_ctr(), key, params, false,
			      w.arena + s->in_offset, w.arena + s->out_offset, s->in_length, NULL, 0, NULL, 0);
	case YOKE_SERVICE_AES_XTS:
		return run_xts(s, params, key);
	case YOKE_SERVICE_AES_GCM:
		return run_gcm(s, params, key);
	case YOKE_SERVICE_SHA256:
		return run_sha256(s, params);
	default:
		return -YOKE_ENOSYS;
	}
}

static struct yoke_line *lines(uint64_t offset)
{
	return (struct yoke_line *)(w.arena + offset);
}

static void ring_bell(void)
{
	const struct yoke_client_words *words = (struct yoke_client_words *)(w.arena + w.layout.client);

	yoke_full_fence();
	if (!yoke_load_acquire32(&words->want_bell))
		return;
	w.status->bell++;
	ioctl(w.device, YOKE_KERNEL_BELL);
}

static void nap(uint64_t ns)
{
	struct timespec time = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };

	nanosleep(&time, NULL);
}

static void complete(unsigned int ring, uint32_t slot, uint32_t tag, struct yoke_completion completion)
{
	struct yoke_line *to = lines(w.layout.ring[ring].completion);

	if (is("late"))
		nap(LATE_NS);
	if (is("status"))
		completion.status = w.served % 2 ? -4000 : 22;
	if (is("length"))
		completion.out_length++;
	if (is("place"))
		completion.where = 77;
	if (is("wrong"))
		slot = (slot + 1) % w.layout.ring[ring].slots;
	yoke_line_write(&to[slot], &completion, tag);
	ring_bell();
	if (is("twice")) {
		completion.out_length += 4096;
		completion.status = -YOKE_EIO;
		nap(1000000);
		yoke_line_write(&to[slot], &completion, tag);
		ring_bell();
	}
}

static void scribble(void)
{
	unsigned int r, i;

	for (r = 0; r < YOKE_RINGS; r++) {
		uint32_t *running = (uint32_t *)((uint8_t *)w.status + w.layout.ring[r].running);
		uint32_t *cancel = (uint32_t *)(w.arena + w.layout.ring[r].cancel);

		for (i = 0; i < w.layout.ring[r].slots; i++) {
			running[i] = (uint32_t)rand();
			cancel[i] = (uint32_t)rand();
		}
		w.status->ring[r].asleep = (uint32_t)rand();
	}
	for (i = 0; i < YOKE_SERVICES_MAX; i++)
		w.status->cost[i] = (struct yoke_cost){ (uint32_t)rand(), (uint32_t)rand() };
	w.status->bell = (uint32_t)rand();
	w.status->session = (uint64_t)rand();
}

/* True if there was an entry. */
static bool serve_one(unsigned int ring)
{
	const struct yoke_ring_layout *place = &w.layout.ring[ring];
	uint32_t log2 = (uint32_t)__builtin_ctz(place->slots);
	uint32_t slot = (uint32_t)(w.head[ring] % place->slots);
	uint32_t tag = yoke_lap_tag(w.head[ring], log2);
	struct yoke_completion completion = { .where = YOKE_WHERE_CPU, .why = YOKE_WHY_ONLY };
	struct yoke_submission s;
	uint8_t params[YOKE_PAYLOAD_BYTES] = { 0 };
	uint64_t begin;

	if (!yoke_line_read(&lines(place->submission)[slot], &s, tag))
		return false;
	w.head[ring]++;
	if (s.opcode == YOKE_OP_SKIP)
		return true;
	if (s.flags & YOKE_FLAG_PARAMS)
		yoke_line_read(&lines(place->params)[slot], params, tag);
	yoke_store_release32((uint32_t *)((uint8_t *)w.status + place->running) + slot, tag);
	if (w.count && w.served == (uint64_t)w.count && is("die"))
		kill(getpid(), SIGKILL);
	if (is("mute"))
		return true;
	begin = now_ns();
	completion.status = execute(&s, params);
	completion.out_length = completion.status ? 0 : s.out_length;
	completion.run_ns = now_ns() - begin;
	w.served++;
	complete(ring, slot, tag, completion);
	if (is("scribble"))
		scribble();
	if (w.count && w.served == (uint64_t)w.count && is("leave")) {
		ioctl(w.device, YOKE_KERNEL_LEAVE);
		ending = 1;
	}
	return true;
}

/* Answers the key orders there are. False: the session is faulted. */
static bool serve_keys(void)
{
	struct yoke_kernel_key_order order;
	static uint32_t last;

	while (ioctl(w.device, YOKE_KERNEL_KEY_ORDER, &order) == 0) {
		struct yoke_kernel_key_answer answer = { .handle = order.handle };
		struct key *key = &w.key[last % KEYS];

		if (order.op == YOKE_KERNEL_KEY_REMOVE) {
			memset(&w.key[(order.worker_key - 1) % KEYS], 0, sizeof(*key));
			continue;
		}
		key->service = (uint16_t)order.service;
		key->length = order.length;
		memcpy(key->bytes, order.bytes, order.length);
		answer.worker_key = ++last;
		if (is("refuse"))
			answer.status = -EKEYREJECTED;
		if (ioctl(w.device, YOKE_KERNEL_KEY_ANSWER, &answer) && errno != ENOENT)
			die("cannot answer a key order");
	}
	return errno == EAGAIN || errno == ENOTCONN;
}

static void beat(uint64_t now)
{
	if (is("deaf") || now - w.beat_ns < BEAT_NS)
		return;
	w.beat_ns = now;
	yoke_store_release64(&w.status->heartbeat_ns, now);
}

static void set_asleep(uint32_t asleep)
{
	yoke_store_release32(&w.status->ring[YOKE_RING_EXPRESS].asleep, asleep);
	yoke_store_release32(&w.status->ring[YOKE_RING_BULK].asleep, asleep);
}

static bool sweep(void)
{
	if (is("deaf"))
		return false;
	return serve_one(YOKE_RING_EXPRESS) | serve_one(YOKE_RING_BULK);
}

/* False: the session is faulted. */
static bool wait_for_work(void)
{
	struct epoll_event events[2];
	bool good = true;
	int i, n;

	set_asleep(1);
	yoke_full_fence();
	if (sweep()) {
		set_asleep(0);
		return true;
	}
	n = epoll_wait(w.epoll, events, 2, 50);
	set_asleep(0);
	for (i = 0; i < n; i++) {
		if (events[i].data.fd == w.device)
			good &= serve_keys();
	}
	return good;
}

static void take_device(void)
{
	struct yoke_kernel_attach attach = { .magic = YOKE_ABI_MAGIC, .version = YOKE_KERNEL_VERSION,
					     .abi_version = YOKE_ABI_VERSION,
					     .features = YOKE_FEATURE_EXPRESS | YOKE_FEATURE_BULK };
	int tries;

	for (tries = 0; tries < 200; tries++) {
		w.device = open(YOKE_KERNEL_DEVICE, O_RDWR | O_CLOEXEC);
		if (w.device >= 0 || errno != EBUSY)
			break;
		nap(10000000); /* the predecessor is still dying */
	}
	if (w.device < 0)
		die("cannot open " YOKE_KERNEL_DEVICE);
	w.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	attach.bell = w.bell;
	if (ioctl(w.device, YOKE_KERNEL_ATTACH, &attach))
		die("cannot attach");
	w.layout = attach.layout;
	w.generation = attach.generation;
	w.arena = mmap(NULL, w.layout.arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w.device, YOKE_KERNEL_MAP_ARENA);
	w.status = mmap(NULL, w.layout.status_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w.device,
			YOKE_KERNEL_MAP_STATUS);
	if (w.arena == MAP_FAILED || w.status == MAP_FAILED)
		die("cannot map the arena");
	w.status->magic = YOKE_ABI_MAGIC;
	w.status->version = YOKE_ABI_VERSION;
	w.status->worker_pid = (uint32_t)getpid();
	w.status->session = 1;
	set_asleep(1);
	yoke_store_release64(&w.status->heartbeat_ns, now_ns());
}

/* Completions for this lap and the next, before anything was asked. */
static void complete_unasked(void)
{
	struct yoke_completion completion = { .where = YOKE_WHERE_NSK, .out_length = ~0ull };
	unsigned int r, i;

	for (r = 0; r < YOKE_RINGS; r++) {
		for (i = 0; i < w.layout.ring[r].slots; i++)
			yoke_line_write(&lines(w.layout.ring[r].completion)[i], &completion, 1 + i % 2);
	}
}

int main(int count, char **arguments)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct sigaction action = { .sa_handler = on_signal };
	uint64_t worked_ns;

	w.mode = count > 1 ? arguments[1] : "honest";
	w.count = count > 2 ? atol(arguments[2]) : 0;
	w.spin_ns = 1000ull * (uint64_t)(count > 3 ? atol(arguments[3]) : 50);
	sigaction(SIGTERM, &action, NULL);
	take_device();
	w.epoll = epoll_create1(EPOLL_CLOEXEC);
	event.data.fd = w.bell;
	epoll_ctl(w.epoll, EPOLL_CTL_ADD, w.bell, &event);
	event.events = EPOLLIN;
	event.data.fd = w.device;
	epoll_ctl(w.epoll, EPOLL_CTL_ADD, w.device, &event);
	if (is("unasked"))
		complete_unasked();
	if (ioctl(w.device, YOKE_KERNEL_SERVE))
		die("cannot serve");
	if (ioctl(w.device, YOKE_KERNEL_SERVE) == 0 || errno != ENOTCONN)
		die("a session that serves could begin to serve");
	printf("serving %llu\n", (unsigned long long)w.generation);
	fflush(stdout);
	worked_ns = now_ns();
	while (!ending) {
		uint64_t now = now_ns();

		beat(now);
		if (sweep())
			worked_ns = now;
		else if (now - worked_ns > w.spin_ns && !wait_for_work())
			break;
	}
	printf("served %llu\n", (unsigned long long)w.served);
	return 0;
}

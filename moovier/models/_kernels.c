/* Compiled inner loops of the scorers that answer visitors: dae and taste.
 *
 * moovier/models/dae_scoring.py and moovier/models/variational_scoring.py have the same formulas
 * in NumPy, with the shapes, and use them where this module was not compiled. All arrays are
 * contiguous and in row order; every function checks their sizes and the rows that index them.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One version for processors with AVX2 and one for all others, chosen when the module loads. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define VERSIONS __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define VERSIONS
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_F16C
#include <immintrin.h>
#endif
#define INLINE static inline __attribute__((always_inline))

typedef Py_ssize_t Size;

/* What dae_scoring.py passes as `constants`, in this order. */
typedef struct {
    double star_power, weight, power, affinity, aversion;
    double neutral, star_unit, genre_neutral, genre_unit, likes_genre, calm, log_count_unit;
} Constants;
#define N_CONSTANTS (sizeof(Constants) / sizeof(double))

/* The arrays of a dae model and one visitor's ratings. */
typedef struct {
    Size n, size, n_genres, k;        /* covered movies, hidden units, genres, ratings */
    const float *encode, *bias, *genres, *mean_genres, *weights, *stars;
    const uint16_t *neighbours;       /* half precision */
    const int64_t *places;
    const Constants *c;
} Dae;

/* Sums over a visitor's ratings, or over all but one. */
typedef struct {
    float *encoded, *liking, *liked;  /* (size), (n_genres), (n_genres) */
    double total, squares;            /* of the weights */
    Size count;
} Sums;

INLINE float from_half(uint16_t half) {
    /* The exponent is 5 bits of bias 15 instead of 8 bits of bias 127; exact, without infinities. */
    union { uint32_t bits; float value; } number;
    number.bits = (uint32_t)(half & 0x7fff) << 13;
    number.value *= 0x1p112f;
    number.bits |= (uint32_t)(half & 0x8000) << 16;
    return number.value;
}

INLINE float tanh_of(float x) {
    /* 1 - 2 / (exp(2 x) + 1), with exp as a power of two times a Taylor polynomial. */
    float y, f, p;
    union { int32_t bits; float value; } scale;
    x = x < -9.0f ? -9.0f : x > 9.0f ? 9.0f : x;
    y = x * 2.88539008f; /* 2 / log(2) */
    float k = floorf(y + 0.5f);
    f = (y - k) * 0.693147181f;
    p = 1.0f + f * (1.0f + f * (1.0f / 2 + f * (1.0f / 6 + f * (1.0f / 24 + f * (1.0f / 120
        + f * (1.0f / 720 + f * (1.0f / 5040)))))));
    scale.bits = ((int32_t)k + 127) << 23;
    return 1.0f - 2.0f / (p * scale.value + 1.0f);
}

INLINE double square(double x) { return x * x; }

INLINE double star_weight(const Dae *d, Size i) {
    return d->weights[i] * pow(d->stars[i] / 5.0, d->c->star_power);
}

/* Add rating i to the sums, `sign` times. */
INLINE void add_rating(const Dae *d, Sums *s, Size i, float sign) {
    const float *row = d->encode + d->places[i] * 2 * d->size;
    const float *genres = d->genres + d->places[i] * d->n_genres;
    float weight = sign * d->weights[i], stars = d->stars[i];
    float centred = (float)(weight * (stars - d->c->neutral) / d->c->star_unit);
    float liking = (float)(weight * (stars - d->c->genre_neutral) / d->c->genre_unit);
    float liked = stars >= d->c->likes_genre ? weight : 0.0f;
    float *restrict encoded = s->encoded;
    for (Size j = 0; j < d->size; j++)
        encoded[j] += weight * row[j] + centred * row[d->size + j];
    for (Size g = 0; g < d->n_genres; g++) {
        s->liking[g] += liking * genres[g];
        s->liked[g] += liked * (genres[g] - d->mean_genres[g]);
    }
    s->total += weight;
    s->squares += sign * square(d->weights[i]);
    s->count += sign > 0 ? 1 : -1;
}

/* Write what the head multiplies: (size + n_genres + 2). */
INLINE void write_features(const Dae *d, const Sums *s, float *restrict features) {
    double squares = s->squares > 1e-12 ? s->squares : 1e-12;
    float scale = (float)(1.0 / sqrt(squares));
    const float *encoded = s->encoded, *bias = d->bias;
    for (Size j = 0; j < d->size; j++) features[j] = tanh_of(encoded[j] * scale + bias[j]);
    double count = s->count > 1 ? (double)s->count : 1.0;
    features[d->size] = (float)(log(count) / d->c->log_count_unit);
    float *points = features + d->size + 1;
    double ratings = s->total + d->c->calm;
    for (Size g = 0; g < d->n_genres; g++) {
        double averse = -s->liking[g] / ratings;
        points[g] = (float)(d->c->affinity * s->liked[g] / ratings
                            - d->c->aversion * (averse > 0 ? averse : 0));
    }
    points[d->n_genres] = 1.0f;
}

INLINE double neighbour_scale(const Dae *d, Size count) {
    return d->c->weight * pow(count > 1 ? (double)count : 1.0, d->c->power);
}

/* Sum all ratings into `s`, whose arrays start at `memory` (size + 2 n_genres). */
INLINE void sum_ratings(const Dae *d, Sums *s, float *memory) {
    memset(memory, 0, sizeof(float) * (size_t)(d->size + 2 * d->n_genres));
    *s = (Sums){memory, memory + d->size, memory + d->size + d->n_genres, 0, 0, 0};
    for (Size i = 0; i < d->k; i++) add_rating(d, s, i, 1.0f);
}

/* Add `count` rows of `head` (count, n), eight at a time: the sums are then read and written less
 * often. */
VERSIONS
static void add_rows(float *restrict sums, const float *head, const float *weights, Size count,
                     Size n) {
    Size f = 0;
    for (; f + 8 <= count; f += 8) {
        const float *r = head + f * n, *w = weights + f;
        float a = w[0], b = w[1], c = w[2], d = w[3], e = w[4], g = w[5], h = w[6], i = w[7];
        for (Size j = 0; j < n; j++)
            sums[j] += ((a * r[j] + b * r[n + j]) + (c * r[2 * n + j] + d * r[3 * n + j]))
                       + ((e * r[4 * n + j] + g * r[5 * n + j])
                          + (h * r[6 * n + j] + i * r[7 * n + j]));
    }
    for (; f < count; f++)
        for (Size j = 0; j < n; j++) sums[j] += weights[f] * head[f * n + j];
}

/* Add rows of a matrix (?, n) in half precision, four at a time. */
static void add_half_rows(float *restrict sums, const uint16_t *matrix, const int64_t *rows,
                          const float *weights, Size count, Size n) {
    for (Size i = 0; i < count; i++) {
        const uint16_t *row = matrix + rows[i] * n;
        for (Size j = 0; j < n; j++) sums[j] += weights[i] * from_half(row[j]);
    }
}

#ifdef HAS_F16C
/* The same by the processor's instruction for half precision. */
__attribute__((target("avx2,fma,f16c")))
static void add_half_rows_f16c(float *restrict sums, const uint16_t *matrix, const int64_t *rows,
                               const float *weights, Size count, Size n) {
    static const float none[4] = {0};
    for (Size i = 0; i < count; i += 4) {
        const uint16_t *r[4];
        __m256 w[4];
        for (Size q = 0; q < 4; q++) {
            /* After the last row: the first row again, with a weight of 0. */
            r[q] = matrix + rows[i + q < count ? i + q : i] * n;
            w[q] = _mm256_set1_ps(i + q < count ? weights[i + q] : none[q]);
        }
        Size j = 0;
        for (; j + 8 <= n; j += 8) {
            __m256 sum = _mm256_loadu_ps(sums + j);
            for (Size q = 0; q < 4; q++) {
                __m128i half = _mm_loadu_si128((const __m128i *)(r[q] + j));
                sum = _mm256_fmadd_ps(w[q], _mm256_cvtph_ps(half), sum);
            }
            _mm256_storeu_ps(sums + j, sum);
        }
        for (; j < n; j++)
            for (Size q = 0; q < 4 && i + q < count; q++)
                sums[j] += weights[i + q] * from_half(r[q][j]);
    }
}
#endif

/* The version for this processor; the module chooses it when it loads. */
static void (*half_rows)(float *restrict, const uint16_t *, const int64_t *, const float *, Size,
                         Size) = add_half_rows;

/* Write the scores of all movies: those of the covered ones, the others behind by popularity.
 * `memory`: 2 size + 3 n_genres + 2 + k + n floats. */
VERSIONS
static void scores_of(const Dae *d, const float *head, const float *popularity,
                      const int64_t *covered, Size n_movies, float *memory, float *restrict scores) {
    Size n_features = d->size + d->n_genres + 2, n = d->n;
    float *features = memory, *weights = features + n_features, *sums = weights + d->k;
    float *logits = sums + d->size + 2 * d->n_genres, lowest = INFINITY;
    Sums s;
    sum_ratings(d, &s, sums);
    write_features(d, &s, features);
    memset(logits, 0, sizeof(float) * (size_t)n);
    add_rows(logits, head, features, n_features, n);
    double scale = neighbour_scale(d, d->k);
    for (Size i = 0; i < d->k; i++) weights[i] = (float)(scale * star_weight(d, i));
    half_rows(logits, d->neighbours, d->places, weights, d->k, n);
    for (Size j = 0; j < n; j++) lowest = logits[j] < lowest ? logits[j] : lowest;
    for (Size j = 0; j < n_movies; j++) scores[j] = popularity[j] + (lowest - 2.0f);
    for (Size j = 0; j < n; j++) scores[covered[j]] = logits[j];
}

INLINE float dot(const float *a, const float *b, Size n) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Size j = 0; j < n; j++) sum += a[j] * b[j];
    return sum;
}

VERSIONS
static void without_each(const Dae *d, const float *head_rows, const int64_t *targets, Size m,
                         float *memory, float *shares, float *restrict out) {
    Size n_features = d->size + d->n_genres + 2, n_sums = d->size + 2 * d->n_genres, k = d->k;
    float *features = memory, *sums = memory + n_features, *left = sums + n_sums;
    float *full = left + n_sums, *share_sums = full + m, *each = share_sums + m;
    Sums all, rest;
    sum_ratings(d, &all, sums);
    write_features(d, &all, features);
    for (Size i = 0; i < k; i++) each[i] = (float)star_weight(d, i);
    for (Size t = 0; t < m; t++) {
        share_sums[t] = 0;
        for (Size i = 0; i < k; i++) {
            uint16_t half = d->neighbours[d->places[i] * d->n + targets[t]];
            shares[t * k + i] = each[i] * from_half(half);
            share_sums[t] += shares[t * k + i];
        }
        full[t] = dot(features, head_rows + targets[t] * n_features, n_features)
                  + (float)neighbour_scale(d, k) * share_sums[t];
    }
    float scale = (float)neighbour_scale(d, k - 1);
    for (Size i = 0; i < k; i++) {
        memcpy(left, sums, sizeof(float) * (size_t)n_sums);
        rest = all;
        rest.encoded = left;
        rest.liking = left + d->size;
        rest.liked = rest.liking + d->n_genres;
        add_rating(d, &rest, i, -1.0f);
        write_features(d, &rest, features);
        for (Size t = 0; t < m; t++) {
            float score = dot(features, head_rows + targets[t] * n_features, n_features)
                          + scale * (share_sums[t] - shares[t * k + i]);
            out[t * k + i] = full[t] - score;
        }
    }
}

/* Cholesky's factor U of `a` = U'U (d, d): in the upper triangle and in place. */
INLINE void factorise(double *restrict a, Size d) {
    for (Size j = 0; j < d; j++) {
        double *pivot = a + j * d, scale = 1.0 / sqrt(pivot[j]);
        for (Size i = j; i < d; i++) pivot[i] *= scale;
        for (Size i = j + 1; i < d; i++) {
            double *row = a + i * d, factor = pivot[i];
#pragma omp simd
            for (Size l = i; l < d; l++) row[l] -= factor * pivot[l];
        }
    }
}

/* Solve U' X = B for the `m` columns of B (d, m) in place; the rows of `u` are `stride` apart. */
INLINE void solve_columns(const double *u, double *restrict b, Size d, Size stride, Size m) {
    for (Size j = 0; j < d; j++) {
        double *solved = b + j * m, scale = 1.0 / u[j * stride + j];
        for (Size c = 0; c < m; c++) solved[c] *= scale;
        for (Size i = j + 1; i < d; i++) {
            double *row = b + i * m, factor = u[j * stride + i];
#pragma omp simd
            for (Size c = 0; c < m; c++) row[c] -= factor * solved[c];
        }
    }
}

typedef struct {
    Size d, n_x, n, passes;           /* unknowns, unknowns of a movie, ratings */
    const float *z, *cov, *stars;
    const double *prior;
    const int64_t *movies;
    double mu, noise, prior_ratings;
} Taste;

/* Write the visitor's taste (d). `memory`: d (2 d + 2 n + 3) + 2 n_x n_x doubles. */
VERSIONS
static void taste_of(const Taste *p, double *memory, double *restrict taste) {
    Size d = p->d, n_x = p->n_x, n = p->n, first = d - n_x, n_cov = n_x * (n_x + 1) / 2;
    double *gram = memory, *u = gram + d * d, *cross = u + d * d, *cov_sum = cross + d;
    double *inverse = cov_sum + n_x * n_x, *z = inverse + n_x * n_x, *columns = z + n * d;
    double squares = 0, steady = 1.0 / p->noise;
    memset(memory, 0, sizeof(double) * (size_t)(2 * d * d + d + n_x * n_x));
    for (Size r = 0; r < n; r++) {
        const float *from = p->z + p->movies[r] * d, *cov = p->cov + p->movies[r] * n_cov;
        double *row = z + r * d, residual = p->stars[r] - p->mu - from[first];
        for (Size j = 0; j < d; j++) row[j] = from[j];
        for (Size j = 0; j < d; j++) {
            double *sums = gram + j * d, value = row[j];
            cross[j] += value * residual;
#pragma omp simd
            for (Size i = j; i < d; i++) sums[i] += value * row[i];
        }
        squares += residual * residual + cov[0];
        for (Size a = 0, packed = 0; a < n_x; a++) {
            cross[first + a] -= cov[a];
            for (Size b = a; b < n_x; b++) cov_sum[a * n_x + b] += cov[packed++];
        }
    }
    for (Size a = 0; a < n_x; a++)
        for (Size b = a; b < n_x; b++) gram[(first + a) * d + first + b] += cov_sum[a * n_x + b];
    for (Size pass = 0; pass < p->passes; pass++) {
        Size m = n + 1;
        for (Size j = 0; j < d; j++) {
            for (Size i = j; i < d; i++)
                u[j * d + i] = p->prior[j * d + i] + steady * gram[j * d + i];
            for (Size r = 0; r < n; r++) columns[j * m + r] = z[r * d + j];
            columns[j * m + n] = steady * cross[j];
        }
        factorise(u, d);
        solve_columns(u, columns, d, d, m);
        for (Size j = d - 1; j >= 0; j--) {
            double sum = columns[j * m + n];
            for (Size i = j + 1; i < d; i++) sum -= u[j * d + i] * taste[i];
            taste[j] = sum / u[j * d + j];
        }
        if (pass + 1 == p->passes) break;
        /* The trace of gram times the inverse: the ratings' part, then the covariances'. */
        double fitted = 0;
        for (Size j = 0; j < d; j++)
            for (Size r = 0; r < n; r++) fitted += columns[j * m + r] * columns[j * m + r];
        memset(inverse, 0, sizeof(double) * (size_t)(n_x * n_x));
        for (Size a = 0; a < n_x; a++) inverse[a * n_x + a] = 1.0;
        solve_columns(u + first * d + first, inverse, n_x, d, n_x);
        for (Size j = 0; j < n_x; j++)
            for (Size a = 0; a <= j; a++)
                for (Size b = a; b <= j; b++)
                    fitted += (a == b ? 1.0 : 2.0) * cov_sum[a * n_x + b] * inverse[j * n_x + a]
                              * inverse[j * n_x + b];
        for (Size j = 0; j < d; j++) {
            double sum = gram[j * d + j] * taste[j];
            for (Size i = j + 1; i < d; i++) sum += 2 * gram[j * d + i] * taste[i];
            fitted += sum * taste[j] - 2.0 * cross[j] * taste[j];
        }
        steady = ((double)n + p->prior_ratings) / (squares + fitted + p->prior_ratings * p->noise);
    }
}

/* Write the stars for a taste (d) of the movies in `targets` (m). */
static void stars_of(const Taste *p, const double *taste, const int64_t *targets, Size m,
                     float *stars) {
    for (Size t = 0; t < m; t++) {
        const float *row = p->z + targets[t] * p->d;
        double sum = p->mu + row[p->d - p->n_x];
        for (Size j = 0; j < p->d; j++) sum += taste[j] * row[j];
        stars[t] = (float)sum;
    }
}

/* Whether row `a` ranks behind row `b`: a lower score, or the same score and a later row. */
INLINE int is_behind(const float *scores, int64_t a, int64_t b) {
    return scores[a] < scores[b] || (scores[a] == scores[b] && a > b);
}

/* Let the row at `place` of a heap sink; the heap's first row is the one behind all others. */
INLINE void sink(const float *scores, int64_t *heap, Size place, Size count) {
    for (Size child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && is_behind(scores, heap[child + 1], heap[child])) child++;
        if (!is_behind(scores, heap[child], heap[place])) return;
        int64_t row = heap[place];
        heap[place] = heap[child];
        heap[child] = row;
    }
}

/* Write the rows of the `k` best finite scores, best first; return how many there are. */
static Size best_rows(const float *scores, Size n, int64_t *rows, Size k) {
    Size count = 0, row = 0;
    for (; row < n && count < k; row++)
        if (isfinite(scores[row])) rows[count++] = row;
    for (Size place = count / 2 - 1; place >= 0; place--) sink(scores, rows, place, count);
    float least = count && count == k ? scores[rows[0]] : INFINITY;
    for (; row < n; row++)
        /* An equal score ranks behind, because its row is later. */
        if (scores[row] > least && isfinite(scores[row])) {
            rows[0] = row;
            sink(scores, rows, 0, count);
            least = scores[rows[0]];
        }
    for (Size end = count - 1; end > 0; end--) {
        int64_t last = rows[0];
        rows[0] = rows[end];
        rows[end] = last;
        sink(scores, rows, 0, end);
    }
    return count;
}

/* Write for each of `m` rows of parts (m, k) the `most` columns in `allowed` with the largest
 * parts, largest first, and those parts; an earlier column first where parts are equal. */
static void largest_of(const float *parts, Size m, Size k, const int64_t *allowed, Size n,
                       Size most, int64_t *columns, float *weights) {
    for (Size t = 0; t < m; t++) {
        const float *row = parts + t * k;
        int64_t *column = columns + t * most;
        float *weight = weights + t * most;
        Size count = 0;
        for (Size i = 0; i < n; i++) {
            float part = row[allowed[i]];
            if (count == most && !(part > weight[most - 1])) continue;
            Size place = count < most ? count++ : most - 1;
            for (; place > 0 && part > weight[place - 1]; place--) {
                weight[place] = weight[place - 1];
                column[place] = column[place - 1];
            }
            weight[place] = part;
            column[place] = allowed[i];
        }
    }
}

/* The arguments of a call, as buffers that are released together. */
#define MOST_BUFFERS 16
typedef struct {
    Py_buffer buffers[MOST_BUFFERS];
    Size count;
} Buffers;

static void release(Buffers *b) {
    for (Size i = 0; i < b->count; i++) PyBuffer_Release(&b->buffers[i]);
}

/* Read `count` arguments as contiguous buffers, the last one writable. */
static int read_buffers(Buffers *b, PyObject *const *arguments, Size given, Size count) {
    b->count = 0;
    if (given != count) {
        PyErr_Format(PyExc_TypeError, "%zd arguments are needed, not %zd", count, given);
        return 0;
    }
    for (Size i = 0; i < count; i++) {
        int flags = i + 1 == count ? PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS : PyBUF_C_CONTIGUOUS;
        if (PyObject_GetBuffer(arguments[i], &b->buffers[i], flags)) return 0;
        b->count++;
    }
    return 1;
}

/* Check that a buffer has `count` items of `bytes` each. */
static int has_size(const Buffers *b, Size position, Size count, Size bytes) {
    if (b->buffers[position].len == count * bytes) return 1;
    PyErr_Format(PyExc_ValueError, "argument %zd has %zd bytes, but its shape needs %zd",
                 position, b->buffers[position].len, count * bytes);
    return 0;
}

/* Check that rows are within 0 to end - 1. */
static int in_range(const int64_t *rows, Size count, Size end) {
    for (Size i = 0; i < count; i++)
        if (rows[i] < 0 || rows[i] >= end) {
            PyErr_Format(PyExc_ValueError, "row %lld is not within 0 to %zd", (long long)rows[i],
                         end - 1);
            return 0;
        }
    return 1;
}

static void *allocate(size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) PyErr_NoMemory();
    return memory;
}

/* Read and check what both functions of dae share: the first nine arguments. */
static int read_dae(const Buffers *b, Dae *d) {
    const Py_buffer *a = b->buffers;
    Size f = sizeof(float), row = sizeof(int64_t);
    d->size = a[1].len / f;
    d->n_genres = a[4].len / f;
    d->k = a[6].len / row;
    d->n = d->size ? a[0].len / f / (2 * d->size) : 0;
    d->encode = a[0].buf;
    d->bias = a[1].buf;
    d->neighbours = a[2].buf;
    d->genres = a[3].buf;
    d->mean_genres = a[4].buf;
    d->c = a[5].buf;
    d->places = a[6].buf;
    d->weights = a[7].buf;
    d->stars = a[8].buf;
    return has_size(b, 0, d->n * 2 * d->size, f) && has_size(b, 2, d->n * d->n, sizeof(uint16_t))
           && has_size(b, 3, d->n * d->n_genres, f) && has_size(b, 5, N_CONSTANTS, sizeof(double))
           && has_size(b, 7, d->k, f) && has_size(b, 8, d->k, f)
           && in_range(d->places, d->k, d->n);
}

static PyObject *dae_scores(PyObject *self, PyObject *const *arguments, Size given) {
    Buffers b;
    Dae d;
    PyObject *result = NULL;
    float *memory = NULL;
    (void)self;
    if (read_buffers(&b, arguments, given, 13) && read_dae(&b, &d)) {
        Size n_movies = b.buffers[12].len / (Size)sizeof(float);
        Size floats = 2 * d.size + 3 * d.n_genres + 2 + d.k + d.n;
        const int64_t *covered = b.buffers[11].buf;
        if (has_size(&b, 9, (d.size + d.n_genres + 2) * d.n, sizeof(float))
            && has_size(&b, 10, n_movies, sizeof(float))
            && has_size(&b, 11, d.n, sizeof(int64_t)) && in_range(covered, d.n, n_movies)
            && (memory = allocate(sizeof(float) * (size_t)floats))) {
            scores_of(&d, b.buffers[9].buf, b.buffers[10].buf, covered, n_movies, memory,
                      b.buffers[12].buf);
            result = Py_NewRef(Py_None);
        }
    }
    free(memory);
    release(&b);
    return result;
}

static PyObject *dae_differences(PyObject *self, PyObject *const *arguments, Size given) {
    Buffers b;
    Dae d;
    PyObject *result = NULL;
    float *memory = NULL;
    (void)self;
    if (read_buffers(&b, arguments, given, 12) && read_dae(&b, &d)) {
        Size m = b.buffers[10].len / (Size)sizeof(int64_t), n_features = d.size + d.n_genres + 2;
        Size floats = n_features + 2 * (d.size + 2 * d.n_genres) + 2 * m + d.k + m * d.k;
        if (has_size(&b, 9, n_features * d.n, sizeof(float))
            && has_size(&b, 11, m * d.k, sizeof(float)) && in_range(b.buffers[10].buf, m, d.n)
            && (memory = allocate(sizeof(float) * (size_t)floats))) {
            float *shares = memory + floats - m * d.k;
            without_each(&d, b.buffers[9].buf, b.buffers[10].buf, m, memory, shares,
                         b.buffers[11].buf);
            result = Py_NewRef(Py_None);
        }
    }
    free(memory);
    release(&b);
    return result;
}

static PyObject *taste_stars(PyObject *self, PyObject *const *arguments, Size given) {
    Buffers b;
    PyObject *result = NULL;
    double *memory = NULL;
    (void)self;
    if (read_buffers(&b, arguments, given, 8)) {
        const Py_buffer *a = b.buffers;
        Taste p = {.z = a[0].buf, .cov = a[1].buf, .prior = a[2].buf, .movies = a[3].buf,
                   .stars = a[4].buf, .n = a[3].len / (Size)sizeof(int64_t)};
        Size targets = a[6].len / (Size)sizeof(int64_t);
        while (p.d * p.d * (Size)sizeof(double) < a[2].len) p.d++; /* `prior` is square */
        const double *scalars = a[5].buf;
        Size n_movies = p.d ? a[0].len / (Size)sizeof(float) / p.d : 0;
        if (has_size(&b, 5, 5, sizeof(double))) {
            p.mu = scalars[0];
            p.noise = scalars[1];
            p.prior_ratings = scalars[2];
            p.passes = (Size)scalars[3];
            p.n_x = (Size)scalars[4];
            Size doubles = p.d * (2 * p.d + 2 * p.n + 4) + 2 * p.n_x * p.n_x;
            if (p.n_x < 1 || p.n_x > p.d || p.passes < 1)
                PyErr_SetString(PyExc_ValueError, "passes and unknowns must be at least 1");
            else if (has_size(&b, 0, n_movies * p.d, sizeof(float))
                     && has_size(&b, 1, n_movies * p.n_x * (p.n_x + 1) / 2, sizeof(float))
                     && has_size(&b, 2, p.d * p.d, sizeof(double))
                     && has_size(&b, 4, p.n, sizeof(float)) && in_range(p.movies, p.n, n_movies)
                     && has_size(&b, 7, targets, sizeof(float))
                     && in_range(a[6].buf, targets, n_movies) && (memory = allocate(sizeof(double) * (size_t)doubles))) {
                double *taste = memory + doubles - p.d;
                taste_of(&p, memory, taste);
                stars_of(&p, taste, a[6].buf, targets, a[7].buf);
                result = Py_NewRef(Py_None);
            }
        }
    }
    free(memory);
    release(&b);
    return result;
}

static PyObject *top_rows(PyObject *self, PyObject *const *arguments, Size given) {
    Buffers b;
    PyObject *result = NULL;
    (void)self;
    if (read_buffers(&b, arguments, given, 2)) {
        Size n = b.buffers[0].len / (Size)sizeof(float);
        Size k = b.buffers[1].len / (Size)sizeof(int64_t);
        if (has_size(&b, 0, n, sizeof(float)) && has_size(&b, 1, k, sizeof(int64_t)))
            result = PyLong_FromSsize_t(best_rows(b.buffers[0].buf, n, b.buffers[1].buf, k));
    }
    release(&b);
    return result;
}

static PyObject *largest_parts(PyObject *self, PyObject *const *arguments, Size given) {
    Buffers b;
    PyObject *result = NULL;
    (void)self;
    if (given != 6) {
        PyErr_Format(PyExc_TypeError, "6 arguments are needed, not %zd", given);
        return NULL;
    }
    Size k = PyLong_AsSsize_t(arguments[1]), most = PyLong_AsSsize_t(arguments[3]);
    if (PyErr_Occurred()) return NULL;
    PyObject *arrays[] = {arguments[0], arguments[2], arguments[4], arguments[5]};
    if (read_buffers(&b, arrays, 4, 4)) {
        Size n = b.buffers[1].len / (Size)sizeof(int64_t), f = sizeof(float);
        Size m = k > 0 ? b.buffers[0].len / f / k : 0;
        if (most < 1 || most > n)
            PyErr_Format(PyExc_ValueError, "%zd of %zd columns cannot be chosen", most, n);
        else if (has_size(&b, 0, m * k, f) && has_size(&b, 1, n, sizeof(int64_t))
                 && has_size(&b, 2, m * most, sizeof(int64_t)) && has_size(&b, 3, m * most, f)
                 && in_range(b.buffers[1].buf, n, k)) {
            largest_of(b.buffers[0].buf, m, k, b.buffers[1].buf, n, most, b.buffers[2].buf,
                       b.buffers[3].buf);
            result = Py_NewRef(Py_None);
        }
    }
    release(&b);
    return result;
}

static PyMethodDef methods[] = {
    {"largest_parts", (PyCFunction)(void (*)(void))largest_parts, METH_FASTCALL,
     "Write the columns with the largest parts of each row, largest first, and the parts."},
    {"dae_scores", (PyCFunction)(void (*)(void))dae_scores, METH_FASTCALL,
     "Write the scores of all movies for one visitor."},
    {"dae_differences", (PyCFunction)(void (*)(void))dae_differences, METH_FASTCALL,
     "Write how much the targets' scores fall without each rating."},
    {"taste_stars", (PyCFunction)(void (*)(void))taste_stars, METH_FASTCALL,
     "Write the stars that one visitor would give the targets, within no limits."},
    {"top_rows", (PyCFunction)(void (*)(void))top_rows, METH_FASTCALL,
     "Write the rows of the best scores, best first; return how many there are."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernels", "Compiled inner loops of scorers.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void) {
#ifdef HAS_F16C
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
        && __builtin_cpu_supports("f16c"))
        half_rows = add_half_rows_f16c;
#endif
    return PyModule_Create(&module);
}

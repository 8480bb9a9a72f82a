package main

import (
	"database/sql"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// metricSet is what the server tells of itself at /metrics. The parts count by
// themselves; a family reads what they have counted when it is asked for. No
// label ever holds what a client, a tenant or an upstream chose.
type metricSet struct {
	registry *prometheus.Registry
	requests *requestStats
	refused  map[keys.Refusal]prometheus.Counter
}

// sources are what metrics are read from.
type sources struct {
	svc     *keys.Service
	gateway *mcp.Gateway
	pools   func() (write, read sql.DBStats) // nil = the store has none
}

func newMetrics(from sources) *metricSet {
	m := &metricSet{registry: prometheus.NewRegistry(), requests: newRequestStats(), refused: map[keys.Refusal]prometheus.Counter{}}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "bailiwick_build_info", Help: "Always 1; the labels say what is running."}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bailiwick_authentication_refusals_total",
		Help: "Requests that were not authenticated, by why. They are in no audit trail."}, []string{"reason"})
	for _, reason := range keys.Refusals {
		m.refused[reason] = refused.WithLabelValues(string(reason))
	}
	m.registry.MustRegister(build, refused)
	for _, f := range []family{
		{stateFamilies, func() []sample { return stateSamples(from.svc.Stats()) }},
		{gatewayFamilies, func() []sample { return gatewaySamples(from.gateway.Stats()) }},
		{requestFamilies, m.requests.samples},
		{poolFamilies, func() []sample { return poolSamples(from.pools) }},
	} {
		m.registry.MustRegister(f)
	}
	return m
}

// authenticated counts a refusal, if it was one.
func (m *metricSet) authenticated(err error) {
	if counter := m.refused[keys.RefusalOf(err)]; counter != nil {
		counter.Inc()
	}
}

func (m *metricSet) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// describedMetric is one metric with its name, help and labels.
type describedMetric struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType // untyped is a histogram of seconds
	name   string
	labels []string
}

func describedAs(kind prometheus.ValueType, name, help string, labels []string) describedMetric {
	name = "bailiwick_" + name
	return describedMetric{prometheus.NewDesc(name, help, labels, nil), kind, name, labels}
}

func gauge(name, help string, labels ...string) describedMetric {
	return describedAs(prometheus.GaugeValue, name, help, labels)
}

func counter(name, help string, labels ...string) describedMetric {
	return describedAs(prometheus.CounterValue, name, help, labels)
}

// histogram is one of seconds.
func histogram(name, help string, labels ...string) describedMetric {
	return describedAs(prometheus.UntypedValue, name, help, labels)
}

// sample is a value of a metric, as it is read.
type sample = prometheus.Metric

func (d describedMetric) is(value float64, labels ...string) sample {
	return prometheus.MustNewConstMetric(d.desc, d.kind, value, labels...)
}

func (d describedMetric) took(s keys.DurationsSnapshot, labels ...string) sample {
	buckets := make(map[float64]uint64, len(s.Cumulative))
	for i, n := range s.Cumulative {
		buckets[keys.DurationBounds[i]] = n
	}
	return prometheus.MustNewConstHistogram(d.desc, s.Count, s.Sum.Seconds(), buckets, labels...)
}

// family is metrics that are read at one time.
type family struct {
	all  []describedMetric
	read func() []sample
}

// Describe implements prometheus.Collector.
func (f family) Describe(out chan<- *prometheus.Desc) {
	for _, one := range f.all {
		out <- one.desc
	}
}

// Collect implements prometheus.Collector.
func (f family) Collect(out chan<- prometheus.Metric) {
	for _, one := range f.read() {
		out <- one
	}
}

func asNumber(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/prometheus/exporter-toolkit/web"

	"github.com/tenantpurge/purger/cmd/internal/api"
)

// serveWeb serves the API, metrics and health over TCP.
func (d *daemon) serveWeb(ctx context.Context) error {
	cfg := d.settings.get()
	addresses := d.flags.listen
	if len(addresses) == 0 {
		addresses = []string{cfg.Web.ListenAddress}
	}
	logger := d.logger.Named("web")
	o := d.apiOptions()
	o.Scheduler, o.Metrics, o.Authenticate, o.Gate = d.scheduler, d.metrics, d.callers.onTCP, d.gate
	o.Remote = true
	o.Limits = func() api.Limits { return api.Limits(d.settings.get().API.Limits) }
	calls := api.New(o)
	// Not a ServeMux: what a path means is for the API to say, to those it knows.
	all := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == api.GatePath || strings.HasPrefix(path, api.GatePath+"/"):
			d.gate.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/api/"), path == api.DescriptionPath:
			calls.ServeHTTP(w, r)
		default:
			d.operations.ServeHTTP(w, r)
		}
	})
	for _, address := range addresses {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("web.listenAddress %s: %w; want a free address, such as --web.listen-address 127.0.0.1:0", address, err)
		}
		d.addresses = append(d.addresses, l.Addr().String())
		// One server for each: the toolkit puts its authentication around the
		// handler of the server that it is given, each time it is given it.
		srv := api.NewHTTPServer(all, logger)
		flags := &web.FlagConfig{WebListenAddresses: &addresses, WebConfigFile: &cfg.Web.ConfigFile}
		d.runServer("web on "+address, srv, func() error {
			return web.Serve(l, srv, flags, slog.New(slogHandler{logger}))
		})
	}
	return nil
}

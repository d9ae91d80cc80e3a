package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"go.uber.org/zap"
)

// serveWeb serves metrics and health over TCP.
func (d *daemon) serveWeb(ctx context.Context) error {
	cfg := d.settings.get()
	addresses := d.flags.listen
	if len(addresses) == 0 {
		addresses = []string{cfg.Web.ListenAddress}
	}
	logger := d.logger.Named("web")
	for _, address := range addresses {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("web.listenAddress %s: %w; want a free address, such as --web.listen-address 127.0.0.1:0", address, err)
		}
		d.addresses = append(d.addresses, l.Addr().String())
		// One server for each: the toolkit puts its authentication around the
		// handler of the server that it is given, each time it is given it.
		srv := &http.Server{
			Handler: d.operations, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
			WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
			ErrorLog: zap.NewStdLog(logger),
		}
		flags := &web.FlagConfig{WebListenAddresses: &addresses, WebConfigFile: &cfg.Web.ConfigFile}
		d.runServer("web on "+address, srv, func() error {
			return web.Serve(l, srv, flags, slog.New(slogHandler{logger}))
		})
	}
	return nil
}

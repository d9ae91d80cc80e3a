package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// reportRows is how many tenants of a plan are logged.
const reportRows = 100

// logPlan logs the state of every gate and what a pass would do now, or once
// the gates that are closed are open: "stopped" tells.
func (d *daemon) logPlan(ctx context.Context) {
	log := d.logger.Named("report")
	gates, err := d.store.Gates(ctx)
	if err != nil {
		log.Error("the gates cannot be read", zap.Error(err))
		return
	}
	closed := map[store.GateReason]store.Gate{}
	for _, g := range gates.Closed(time.Now()) {
		closed[g.Reason] = g
	}
	for _, reason := range []store.GateReason{store.GatePaused, store.GateHalted, store.GateImport, store.GateSpace} {
		g, is := closed[reason]
		log.Info("gate", zap.String("gate", string(reason)), zap.Bool("closed", is), zap.String("detail", g.Detail))
	}
	if gates.Allowance > 0 {
		log.Info("allowance beyond the limits", zap.Int64("tenants", gates.Allowance))
	}
	r, err := d.engine.Plan(ctx)
	if err != nil {
		log.Error("the plan cannot be made", zap.Error(err))
		return
	}
	s := d.scheduler.Status()
	log.Info("plan", zap.String("result", string(r.Result)), zap.Bool("stopped", r.Result != purge.ResultPlanned), zap.Int64("tenants", r.Totals.Tenants),
		zap.Any("resources", r.Totals.Counts), zap.Int("rows", len(r.Tenants)), zap.Int64("omitted", r.Omitted),
		zap.Bool("running", s.Running), zap.Time("next_run", s.NextRun), zap.Time("next_retry", s.NextRetry), zap.String("schedule", s.Schedule))
	for i, row := range r.Tenants {
		if i == reportRows {
			log.Info("plan: the rest is not logged", zap.Int("tenants", len(r.Tenants)-reportRows))
			break
		}
		fields := []zap.Field{zap.String("tenant", row.ID), zap.String("outcome", string(row.Outcome)),
			zap.String("date", timeText(row.EstimatedPurgeDate.Time)), zap.Any("resources", row.ResourcesDeleted)}
		if row.Block != nil {
			fields = append(fields, zap.String("reason", string(row.Block.Reason)), zap.String("by", row.Block.By), zap.String("until", timeText(row.Block.Until.Time)))
		}
		if row.Error != "" {
			fields = append(fields, zap.String("error", row.Error))
		}
		log.Info("plan: tenant", fields...)
	}
}

package main

import (
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// webPin is the digest of the chart that charts keeps.
const webPin = "h1:YoXxPfbq0cbK1LRtIScu5ndMfMSNpRr1FE0Fi2dUa/4="

// charts has the platform folder keep a chart.
func (p *patient) charts(pins string, links map[string]string) {
	p.t.Helper()
	edit := gittest.Edit{Message: "Keep a chart", Links: links, Put: []gitops.File{
		{Path: platform.ChartsPath, Content: []byte(pins)},
		{Path: "platform/charts/web/Chart.yaml", Content: []byte("apiVersion: v2\nname: web\nversion: 1.0.0\n")},
	}}
	if _, err := p.gitops.Commit(p.t.Context(), "main", edit); err != nil {
		p.t.Fatal(err)
	}
}

package csi

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
)

// ClusterID reads the cluster's identity from its API: the UID of the namespace kube-system, which lives as long as the
// cluster does and is like no other's.
func ClusterID(ctx context.Context, cfg *rest.Config) (string, error) {
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return "", fmt.Errorf("cluster identity: %w", err)
	}
	server, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return "", fmt.Errorf("cluster identity: %w", err)
	}
	var namespace struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := getJSON(ctx, client, server.JoinPath("api/v1/namespaces/kube-system").String(), &namespace); err != nil {
		return "", fmt.Errorf("cluster identity: read the namespace kube-system (or set --cluster-id): %w", err)
	}
	if namespace.Metadata.UID == "" {
		return "", errors.New("cluster identity: the namespace kube-system has no UID; set --cluster-id")
	}
	return namespace.Metadata.UID, nil
}

WITH RECURSIVE subtree AS (
	SELECT id, id AS top FROM tenants
	UNION ALL
	SELECT t.id, s.top FROM tenants t JOIN subtree s ON t.parent_id = s.id
), due AS (
	SELECT DISTINCT s.id FROM subtree s JOIN tenants t ON t.id = s.top
	WHERE t.status = 'disabled' AND t.disabled_at + t.purge_after_days * interval '1 day' <= now()
)
SELECT CASE WHEN d.id IS NULL THEN 'kept' ELSE 'due' END AS tenants, count(*) AS number,
	sum((SELECT count(*) FROM oauth_clients r WHERE r.tenant_id = t.id)) AS oauth_clients,
	sum((SELECT count(*) FROM api_keys r WHERE r.tenant_id = t.id)) AS api_keys,
	sum((SELECT count(*) FROM credentials r WHERE r.tenant_id = t.id)) AS credentials,
	sum((SELECT count(*) FROM users r WHERE r.tenant_id = t.id)) AS users
FROM tenants t LEFT JOIN due d USING (id)
GROUP BY 1 ORDER BY 1;

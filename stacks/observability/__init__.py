"""What watches the other stacks: `stack` is given all of them, and hands out the topic that its alarms tell.

`alarms` has what is alarmed of and why, `dashboard` what CloudWatch draws, `log_insights` the saved queries and counted
lines of logs, `access_log_table` the load balancer's log as a table.
"""

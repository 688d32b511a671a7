<?php
const VERSION = 1;
